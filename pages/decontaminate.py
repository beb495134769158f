"""Decontaminate: from ancient and modern reads to a model, and from a sample to its contamination and two files."""

from __future__ import annotations

from pages.shared import runs_view, show
from pages.shared.decontaminate import apply, dataset, download, evaluate, steps, train

SHOWN = {
    "dataset": dataset.step, "train": train.step, "evaluate": evaluate.step, "apply": apply.step,
    "download": download.step,
}


def main() -> None:
    show.title("Decontaminate", "How much of my sample is modern, and which reads are ancient?")
    found = steps.states()
    chosen = steps.stepper(found)
    if not steps.blocked(chosen, found):
        SHOWN[chosen]()
    for command in sorted(set(steps.COMMAND.values()) - {steps.COMMAND[chosen]}):
        # A run of another step goes on while this one is looked at; its end refreshes the marks of the steps.
        runs_view.active(command)


main()
