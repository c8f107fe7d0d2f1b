"""Rollouts of a policy from many start states: in lock step in this process, or shared out to several.

    rollouts = Rollouts("small", workers=2)
    rollouts.play([Episode("mujoco:carrot", 20_000, "put carrot on plate", seed) for seed in range(64)], temperature=1.0)
    rollouts.close()

Processes are spawned, and each loads the policy: it is small beside its pictures, which then need not be sent. What is
played together is the same whatever the number of processes, and so is what comes of it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

from anyprefer.core.errors import ModelError
from anyprefer.core.trajectories import Trajectory
from anyprefer.models.policies.base import Policy
from anyprefer.models.policies.by_name import policy
from anyprefer.models.policies.lock_step import AT_ONCE, Episode, LockStep


def cores() -> int:
    """How many processes can run here at once."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Rollouts:
    """Plays episodes of the policy `spec` (`policies/by_name.py`) in up to `workers` processes; 0: one a core for the
    small policy, and one for those that are large or answer elsewhere.

    Processes are started when there is more than one share of `AT_ONCE` episodes, and kept until `close()`: Mesa keeps
    10 MB of each simulator that drew, closed or not, until its process ends. A large policy that one process would play is
    played in this one. Raises `ModelSetupError` for a policy that cannot be loaded.
    """

    def __init__(self, spec: str, workers: int = 0) -> None:
        self._small = spec.partition(":")[0] == "small"
        self.spec, self.workers = spec, workers or (cores() if self._small else 1)
        self.policy: Policy = policy(spec)
        self._loaded_once = not self._small and self.workers < 2
        self._here = LockStep()
        self._pool: ProcessPoolExecutor | None = None

    def play(self, episodes: Sequence[Episode], temperature: float) -> list[Trajectory]:
        """One trajectory an episode, in order. Raises `ModelError` where a process dies, `ModelSetupError` with what to
        install where the simulator cannot run."""
        shares = [episodes[first : first + AT_ONCE] for first in range(0, len(episodes), AT_ONCE)]
        if self._pool is None and (len(shares) < 2 or self._loaded_once):
            with _one_thread(self._small):
                return self._here.play(self.policy, episodes, temperature)
        try:
            futures = [self._processes().submit(_play, share, temperature) for share in shares]
            return [trajectory for future in futures for trajectory in future.result()]
        except BrokenProcessPool as error:
            self._stop()
            raise ModelError(
                f"a process that played {self.spec} died with {len(episodes)} episodes unfinished: it was killed, for memory "
                'perhaps (use fewer workers), or the script that started it has no `if __name__ == "__main__":`'
            ) from error

    def close(self) -> None:
        """Ends the processes and frees the simulators."""
        self._stop()
        self._here.close()

    def _processes(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context = multiprocessing.get_context("spawn")  # a fork would share torch's and Mesa's threads
            self._pool = ProcessPoolExecutor(self.workers, context, _begin, (self.spec,))
        return self._pool

    def _stop(self) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None


@contextmanager
def _one_thread(wanted: bool) -> Iterator[None]:
    """So that sums are rounded here as in the processes; and more threads slow a small policy down."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1 if wanted else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


_playing: tuple[Policy, LockStep]


def _begin(spec: str) -> None:
    """What each process does first."""
    import torch

    global _playing
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that asked
    torch.set_num_threads(1)
    _playing = policy(spec), LockStep()


def _end_with_parent() -> None:
    """A process whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _play(episodes: Sequence[Episode], temperature: float) -> list[Trajectory]:
    return _playing[1].play(_playing[0], episodes, temperature)
