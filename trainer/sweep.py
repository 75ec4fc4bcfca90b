"""Many short trainings in search of good settings, by several processes or machines at once.

All of them work on one study, a journal file of Optuna's, which may lie on a shared
disk. A trial is claimed under a lock, so none is done twice and there are as many as
were asked for; one whose process died is done anew by another.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autcar.errors import (
    AutcarError,
    ConfigError,
    DataError,
    DataNotFoundError,
    RuntimeMissingError,
)
from autcar.progress import Progress
from trainer.file_lock import is_held, locked
from trainer.learn import Frames, Network, learn, read_frames
from trainer.learning.history import Epoch
from trainer.learning.workers import Workers
from trainer.pipeline import read_data
from trainer.settings import Settings

if TYPE_CHECKING:
    import optuna

NAME = "autcar"
SCORE = "val_balanced_accuracy"
"""What is maximised: every class counts alike, as on the road."""


@dataclass(frozen=True)
class Space:
    """What to choose from. Rates and label smoothing are ranges, the rest are choices."""

    networks: tuple[str, ...] = ("compact", "star", "factored")
    augments: tuple[str, ...] = ("none", "light", "default")
    balances: tuple[str, ...] = ("upsample", "weights")
    batch_sizes: tuple[int, ...] = (32, 64, 128)
    learning_rates: tuple[float, float] = (3e-4, 1e-2)
    label_smoothings: tuple[float, float] = (0.0, 0.2)

    def choose(self, trial: optuna.Trial, settings: Settings) -> Settings:
        """``settings`` with what Optuna suggests for ``trial``."""
        choose = trial.suggest_categorical
        return replace(
            settings,
            network=choose("network", self.networks),
            augment=choose("augment", self.augments),
            balance=choose("balance", self.balances),  # type: ignore[arg-type]
            batch_size=choose("batch_size", self.batch_sizes),
            label_smoothing=trial.suggest_float("label_smoothing", *self.label_smoothings),
            schedule=replace(
                settings.schedule,
                learning_rate=trial.suggest_float("learning_rate", *self.learning_rates, log=True),
            ),
        )

    @classmethod
    def from_dict(cls, raw: dict[str, Any]) -> Space:
        """What ``asdict`` gave, read from JSON again."""
        return cls(**{name: tuple(values) for name, values in raw.items()})


@dataclass(frozen=True)
class Sweep:
    """One study in the file ``path``: ``trials`` trainings of ``epochs`` epochs each."""

    path: Path
    settings: Settings
    space: Space
    trials: int
    epochs: int

    @classmethod
    def begin(
        cls, path: Path, settings: Settings, space: Space, trials: int, epochs: int
    ) -> Sweep:
        """Make the study, or go on with one that is there: only ``trials`` may grow.

        Raises :class:`ConfigError` where that one was begun with other options.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        study = _optuna().create_study(
            storage=_storage(path), study_name=NAME, direction="maximize", load_if_exists=True
        )
        asked = study.user_attrs
        if "settings" in asked:
            _check_same(path, _options(*_begun_with(asked)), _options(settings, space, epochs))
        else:
            study.set_user_attr("settings", json.dumps(settings.as_dict()))
            study.set_user_attr("space", json.dumps(asdict(space)))
            study.set_user_attr("epochs", epochs)
        if trials > asked.get("trials", 0):
            study.set_user_attr("trials", trials)
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> Sweep:
        """A study that was begun. Raises :class:`DataNotFoundError` where there is none."""
        if not path.is_file():
            raise DataNotFoundError(
                f"there is no study {path}; begin one with `autcar sweep DATA --study {path}`"
            )
        asked = _optuna().load_study(storage=_storage(path), study_name=NAME).user_attrs
        settings, space, epochs = _begun_with(asked)
        return cls(path, settings, space, asked["trials"], epochs)

    def work(self, settings: Settings, progress: Progress, *, wait: bool = False) -> int:
        """Do trials until as many as were asked for are begun; returns how many were done here.

        ``settings`` name the recordings as they lie on this machine. With ``wait``, until all
        are finished, by whomever.
        """
        mine = self._alive(_this_worker())
        with locked(mine):
            try:
                return self._work(settings, progress, wait)
            finally:
                # Windows removes no file that is open: there it stays, and is held by nobody.
                with contextlib.suppress(PermissionError):
                    mine.unlink(missing_ok=True)

    def _work(self, settings: Settings, progress: Progress, wait: bool) -> int:
        study = self._study()
        dataset, split = read_data(settings)
        self._check_data(study, dataset.digest())
        frames = read_frames(dataset, split, settings, progress)
        done, told = 0, ""
        while True:
            if trial := self._claim(study):
                self._try(study, trial, frames, settings, progress)
                done += 1
                continue
            waiting = ", ".join(self.waiting_for())
            if not (wait and waiting):
                return done
            if waiting != told:
                progress.say(f"waiting for the trials of {waiting}")
                told = waiting
            time.sleep(1)

    def _check_data(self, study: optuna.Study, digest: str) -> None:
        with locked(self._beside("claim")):
            known = study.user_attrs.get("digest")
            if known is None:
                study.set_user_attr("digest", digest)
        if known not in (None, digest):
            raise DataError(
                f"the recordings here are not those of the study {self.path}; copy the same DATA "
                f"to each machine, or begin another --study"
            )

    def winner(self) -> tuple[Settings, float]:
        """The settings of the best trial, with the schedule asked for, and its score.

        Raises :class:`DataError` when no trial was finished.
        """
        study = self._study()
        try:
            best = study.best_trial
        except ValueError as error:
            raise DataError(f"no trial of {self.path} was finished; {self.table()}") from error
        fixed = _optuna().trial.FixedTrial(best.params)
        return self.space.choose(fixed, self.settings), float(best.value or 0)

    def waiting_for(self) -> list[str]:
        """The processes whose trials are not finished, as host:pid."""
        running = _optuna().trial.TrialState.RUNNING
        trials = self._study().get_trials(deepcopy=False, states=(running,))
        return [trial.user_attrs.get("worker", "?") for trial in trials]

    def table(self) -> str:
        """Every trial, the best first."""
        lines = ["trial  state     score  settings"]
        trials = self._study().get_trials(deepcopy=False)
        for trial in sorted(trials, key=lambda x: (x.value is None, -(x.value or 0))):
            score = "     " if trial.value is None else f"{trial.value:.3f}"
            chosen = ", ".join(f"{key} {_short(value)}" for key, value in trial.params.items())
            error = trial.user_attrs.get("error", "")
            state = trial.state.name.lower()
            lines.append(f"{trial.number:>5}  {state:8}  {score}  {chosen} {error}".rstrip())
        return "\n".join(lines)

    def _study(self) -> optuna.Study:
        samplers, pruners = _optuna().samplers, _optuna().pruners
        found: optuna.Study = _optuna().load_study(
            storage=_storage(self.path),
            study_name=NAME,
            sampler=samplers.TPESampler(n_startup_trials=5),
            # Steps are epochs from 1 on: the first one tells too little.
            pruner=pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=2),
        )
        return found

    def _claim(self, study: optuna.Study) -> optuna.Trial | None:
        """A trial of one's own, or None when enough are begun."""
        optuna = _optuna()
        with locked(self._beside("claim")):
            begun = 0
            for trial in study.get_trials(deepcopy=False):
                if trial.state == optuna.trial.TrialState.RUNNING and self._is_lost(trial):
                    study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
                elif trial.state != optuna.trial.TrialState.FAIL or "error" in trial.user_attrs:
                    begun += 1
            if begun >= self.trials:
                return None
            mine = study.ask()
            mine.set_user_attr("worker", _this_worker())
            return mine

    def _is_lost(self, trial: optuna.trial.FrozenTrial) -> bool:
        """Whether the trial's process was on this machine and is gone; asked under the lock."""
        worker = trial.user_attrs.get("worker", "")
        if worker in ("", _this_worker()):
            # It died between claiming and saying so; or had this one's number before a restart.
            return True
        here = worker.startswith(f"{socket.gethostname()}:")
        return here and not is_held(self._alive(worker))

    def _alive(self, worker: str) -> Path:
        """What a worker that lives holds; hosts may share the folder."""
        return self._beside(worker.replace(":", ".") + ".alive")

    def _beside(self, ending: str) -> Path:
        return self.path.with_name(f"{self.path.name}.{ending}")

    def _try(
        self,
        study: optuna.Study,
        trial: optuna.Trial,
        frames: Frames,
        base: Settings,
        progress: Progress,
    ) -> None:
        optuna = _optuna()
        scores: list[float] = []

        def report(epoch: Epoch) -> None:
            scores.append(epoch.figures[SCORE])
            trial.report(scores[-1], epoch.number)
            if trial.should_prune():
                raise optuna.TrialPruned

        settings = self.space.choose(trial, base)
        settings = replace(settings, schedule=replace(settings.schedule, epochs=self.epochs))
        progress.say(f"trial {trial.number}: {trial.params}")
        try:
            network = Network.new(settings, frames.dataset, Workers())
            learned = learn(frames, network, settings, progress, listeners=[report])
        except optuna.TrialPruned:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            progress.say(f"trial {trial.number}: worse than the others, ended")
        except AutcarError as error:
            trial.set_user_attr("error", str(error))
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            progress.say(f"trial {trial.number}: {error}")
        else:
            if learned.history.ended == "interrupted":
                study.tell(trial, state=optuna.trial.TrialState.FAIL)
                raise KeyboardInterrupt
            study.tell(trial, scores[learned.history.best - 1])


def _begun_with(asked: dict[str, Any]) -> tuple[Settings, Space, int]:
    """What the study with the attributes ``asked`` was begun with."""
    settings = Settings.from_dict(json.loads(asked["settings"]))
    return settings, Space.from_dict(json.loads(asked["space"])), asked["epochs"]


def _check_same(path: Path, then: dict[str, str], now: dict[str, str]) -> None:
    differs = [name for name, value in then.items() if value != now[name]]
    if differs:
        words = (f"--{x} {then[x]}" if then[x] else f"no --{x}" for x in differs)
        raise ConfigError(
            f"the study {path} was begun with {', '.join(words)}; say the same to go on with it, "
            f"or name another --study"
        )


def _options(settings: Settings, space: Space, epochs: int) -> dict[str, str]:
    """What a study has in common, as it is said to ``autcar sweep``; "" for what is not said."""
    return {
        "networks": ",".join(space.networks),
        "augments": ",".join(space.augments),
        "size": f"{settings.width}x{settings.height}",
        "split": settings.split,
        "seed": str(settings.seed),
        "epochs": str(settings.schedule.epochs or ""),
        "trial-epochs": str(epochs),
    }


def _this_worker() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _short(value: Any) -> str:
    return f"{value:.2g}" if isinstance(value, float) else str(value)


def _storage(path: Path) -> Any:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(path)))


def _optuna() -> Any:
    try:
        import optuna
    except ImportError as error:
        raise RuntimeMissingError(
            "a sweep needs the package optuna; pip install 'autcar[workstation]'"
        ) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
