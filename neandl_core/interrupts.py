"""Signals that ask a run to stop, held back while its folder is opened or closed, so that each finds the run whole."""

from __future__ import annotations

import signal
import threading
import types
from typing import Any


class Interrupts:
    """What SIGINT and SIGTERM do to the main thread between `take_over` and `give_back`.

    While `held`, they are only remembered (`missed`). Else they raise KeyboardInterrupt there.

    Attributes
    ----------
    held
        True at first. Assigning to it is one step: no signal is answered between that and what follows.
    missed
        Whether a signal came while they were held. `resend` lets it come again.
    told_to_end
        Whether SIGTERM came: a machine that shuts down tells every process to end; nobody asked for a cancel.
    """

    def __init__(self) -> None:
        self.held = True
        self.missed = False
        self.told_to_end = False
        self._before: dict[int, Any] = {}

    def take_over(self) -> None:
        """Answer the signals from now on; nothing outside the main thread, where Python does not allow it."""
        if threading.current_thread() is threading.main_thread():
            # A process started in the background may have inherited "ignore interrupts", which would disable cancel.
            self._before = {number: signal.signal(number, self._answer) for number in (signal.SIGINT, signal.SIGTERM)}

    def give_back(self) -> None:
        """Let those answer who did before. A run around this one learns what came."""
        for number, answer in self._before.items():
            outer = getattr(answer, "__self__", None)
            if isinstance(outer, Interrupts):
                outer.missed |= self.missed
                outer.told_to_end |= self.told_to_end
            signal.signal(number, answer)
        self._before = {}

    def resend(self) -> None:
        """From another thread: interrupt the main thread now if a signal was held back that no longer has to be."""
        if self.missed and not self.held:
            self.missed = False
            self.interrupt()

    @staticmethod
    def interrupt() -> None:
        """From another thread: interrupt the main thread, even in the middle of a system call."""
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    def _answer(self, number: int, frame: types.FrameType | None) -> None:
        del frame
        self.told_to_end |= number == signal.SIGTERM
        if self.held:
            self.missed = True
            return
        raise KeyboardInterrupt
