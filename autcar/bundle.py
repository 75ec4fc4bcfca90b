"""Bundles: a trained model as it is shipped.

A bundle is a folder of one or more ``.tflite`` variants, ``manifest.json`` and
``card.md``. The manifest says everything that a car must check before it moves.
Nothing in a bundle is ever executed or unpickled.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from autcar.commands import LABELS
from autcar.errors import BundleError, DataNotFoundError
from autcar.files import sync_files, sync_names
from autcar.safety import BLIND_LABELS

SCHEMA = 1
QUANTIZATIONS = ("int8", "float32", "float16", "dynamic")
TASKS = ("drive", "classify", "follow")
"""What a bundle is for: a command from a frame, another class from a frame, or pixels' classes."""

MANIFEST = "manifest.json"
CARD = "card.md"


@dataclass(frozen=True)
class Variant:
    """One ``.tflite`` file of a bundle.

    ``quantization`` is ``"int8"``, ``"float32"``, ``"float16"`` (weights) or ``"dynamic"``
    (int8 weights, float activations). Whatever it is, the input is raw ``uint8`` RGB,
    1 × height × width × 3: normalisation is inside.
    """

    name: str
    file: str
    sha256: str
    size: int
    quantization: str


@dataclass(frozen=True)
class Manifest:
    """What ``manifest.json`` holds. ``width`` and ``height`` are the input's, in pixels.

    ``task`` is one of :data:`TASKS`. ``labels`` are the classes of a frame, or of a pixel
    when the task is to follow. A model that answers in parts, such as colour and number,
    has ``heads``: each part's classes by its output's name; ``labels`` are then the
    combinations that exist.
    """

    name: str
    labels: tuple[str, ...]
    width: int
    height: int
    variants: tuple[Variant, ...]
    task: str = "drive"
    heads: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    color: str = "RGB"
    preprocessing: str = "inside the model: feed raw uint8 RGB"
    runtime: str = "TensorFlow Lite, XNNPACK optional"
    metrics: Mapping[str, Any] = field(default_factory=dict)
    data: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    schema: int = SCHEMA


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files are there and unaltered."""

    folder: Path
    manifest: Manifest

    @property
    def digest(self) -> str:
        """SHA-256 of the manifest, which holds those of all files."""
        return _sha256((self.folder / MANIFEST).read_bytes())

    def variant(self, name: str) -> Variant:
        """The variant called ``name``. Raises :class:`BundleError` with the names there are."""
        for variant in self.manifest.variants:
            if variant.name == name:
                return variant
        names = ", ".join(variant.name for variant in self.manifest.variants)
        raise BundleError(f"bundle {self.folder} has no variant {name!r}; it has {names}")

    def path(self, variant: Variant) -> Path:
        """Where the variant's file lies."""
        return self.folder / variant.file

    def check_fits(self, width: int, height: int, *, labels: Sequence[str] = LABELS) -> None:
        """Raise :class:`BundleError` unless this fits a camera of that size and these labels.

        Classes of :data:`~autcar.safety.BLIND_LABELS` may stand among them anywhere; a
        bundle that follows needs the class ``hero`` instead. Called before arming: a bundle
        that does not fit never moves a wheel.
        """
        found = self.manifest
        commands = tuple(label for label in found.labels if label not in BLIND_LABELS)
        if found.task == "classify":
            raise BundleError(
                f"bundle {self.folder} was trained to classify, not to drive; "
                f"see `autcar models`, or train one with `autcar train`"
            )
        if found.task == "follow" and "hero" not in found.labels:
            raise BundleError(
                f"bundle {self.folder} was trained to follow, but none of its classes "
                f"{', '.join(found.labels)} is 'hero'; train it again with `autcar train`"
            )
        if found.task == "drive" and commands != tuple(labels):
            raise BundleError(_label_difference(self.folder, commands, labels))
        if found.color != "RGB":
            raise BundleError(
                f"bundle {self.folder} wants {found.color} images, "
                f"the car gives RGB; train it again"
            )
        if (found.width, found.height) != (width, height):
            raise BundleError(
                f"bundle {self.folder} takes {found.width}×{found.height} images, "
                f"the camera gives {width}×{height}; set width = {found.width} and "
                f"height = {found.height} under [camera] in car.toml, "
                f"or train for {width}×{height}"
            )


def _label_difference(folder: Path, found: Sequence[str], expected: Sequence[str]) -> str:
    if sorted(found) == sorted(expected):
        index = next(i for i, label in enumerate(expected) if found[i] != label)
        what = f"in another order: class {index} is {found[index]}, here it is {expected[index]}"
    else:
        odd = sorted(set(found) ^ set(expected))
        what = f"that differ from the car's {len(expected)}: {', '.join(odd[:4])}"
    return (
        f"bundle {folder} has labels {what}; driving it would turn the wrong way; "
        f"train it again with `autcar train`"
    )


def load_bundle(folder: str | Path) -> Bundle:
    """Read a bundle and check every file against its manifest.

    Raises :class:`DataNotFoundError` when there is none, :class:`BundleError` when
    the manifest cannot be read or a file is missing, altered or cut short.
    """
    folder = Path(folder)
    try:
        content = (folder / MANIFEST).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        advice = "give the folder of one, or make one with `autcar train`"
        olds = folder.parent.glob(f".{folder.name}.old.*")
        old = max(olds, key=lambda path: path.stat().st_mtime, default=None)
        if old is not None and not folder.exists():
            advice = f"writing it was cut short, and the one before is {old}: mv {old} {folder}"
        raise DataNotFoundError(
            f"there is no bundle at {folder} ({MANIFEST} is missing); {advice}"
        ) from None
    try:
        manifest = _parse_manifest(json.loads(content.decode("utf-8")))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BundleError(
            f"{folder / MANIFEST} cannot be read ({error}); copy the bundle again"
        ) from error
    bundle = Bundle(folder, manifest)
    for variant in manifest.variants:
        _check_file(bundle.path(variant), variant)
    return bundle


def _parse_manifest(raw: Any) -> Manifest:
    if not isinstance(raw, dict):
        raise ValueError("not a JSON object")
    if raw.get("schema") != SCHEMA:
        raise ValueError(f"schema {raw.get('schema')!r}, this autcar reads {SCHEMA}")
    raw["labels"] = tuple(map(str, raw["labels"]))
    heads = raw.get("heads", {})
    if not isinstance(heads, dict):
        raise ValueError(f"heads {heads!r} is not an object")
    raw["heads"] = {name: tuple(map(str, classes)) for name, classes in heads.items()}
    raw["variants"] = tuple(Variant(**variant) for variant in raw["variants"])
    manifest = Manifest(**raw)
    if not manifest.variants:
        raise ValueError("no variants")
    if manifest.task not in TASKS:
        raise ValueError(f"task {manifest.task!r} is none of {', '.join(TASKS)}")
    for variant in manifest.variants:
        if variant.quantization not in QUANTIZATIONS:
            raise ValueError(
                f"variant {variant.name!r} is {variant.quantization!r}, "
                f"none of {', '.join(QUANTIZATIONS)}"
            )
        if Path(variant.file).name != variant.file:
            raise ValueError(f"file {variant.file!r} lies outside the bundle")
    return manifest


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _check_file(path: Path, variant: Variant) -> None:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise BundleError(
            f"bundle {path.parent} lacks {variant.file}; copy the bundle again, whole"
        ) from None
    if len(data) != variant.size:
        raise BundleError(
            f"{path} has {len(data)} bytes, its manifest says {variant.size}; "
            f"copy the bundle again"
        )
    if _sha256(data) != variant.sha256:
        raise BundleError(
            f"{path} was altered: its SHA-256 is not the manifest's; copy the bundle again"
        )


def write_bundle(
    folder: str | Path,
    *,
    models: Mapping[str, tuple[bytes, str]],
    card: str,
    labels: Sequence[str],
    width: int,
    height: int,
    metrics: Mapping[str, Any],
    data: Mapping[str, Any],
    versions: Mapping[str, str],
    task: str = "drive",
    heads: Mapping[str, Sequence[str]] | None = None,
) -> Bundle:
    """Write a bundle in one step: the folder is the new bundle or what it was before.

    A power cut between the two leaves what was before under another name, which
    :func:`load_bundle` tells.

    ``models`` maps a variant's name to its ``.tflite`` bytes and its quantization.
    An earlier bundle at ``folder`` is replaced; anything else there is refused with
    :class:`BundleError`.
    """
    import shutil  # here, since a car only reads bundles, and starts sooner without it

    folder = Path(folder)
    if folder.exists() and not (folder / MANIFEST).is_file() and any(folder.iterdir()):
        raise BundleError(f"{folder} is there and is no bundle; name another folder")
    variants = tuple(
        Variant(name, f"{name}.tflite", _sha256(content), len(content), quantization)
        for name, (content, quantization) in models.items()
    )
    manifest = Manifest(
        name=folder.name,
        labels=tuple(labels),
        width=width,
        height=height,
        variants=variants,
        task=task,
        heads={name: tuple(classes) for name, classes in (heads or {}).items()},
        metrics=metrics,
        data=data,
        versions=versions,
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = folder.with_name(f".{folder.name}.new.{os.getpid()}")
    old = folder.with_name(f".{folder.name}.old.{os.getpid()}")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    try:
        for variant in variants:
            (new / variant.file).write_bytes(models[variant.name][0])
        (new / CARD).write_text(card, encoding="utf-8")
        text = json.dumps(asdict(manifest), indent=2, ensure_ascii=False)
        (new / MANIFEST).write_text(text + "\n", encoding="utf-8")
        sync_files(new)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
        sync_names(folder.parent)
    finally:
        if old.exists() and not folder.exists():
            old.rename(folder)  # cut off between the two
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    return Bundle(folder, manifest)


def add_proof(bundle: Bundle, heading: str, text: str, metrics: Mapping[str, Any]) -> Bundle:
    """Write what was found of a bundle after its training into its card and its manifest.

    ``text`` becomes the card's section ``heading``, its last, in place of an earlier one of
    that heading; ``metrics`` are put beside those that are there. The models stay as they are.
    """
    manifest = bundle.manifest
    card = (bundle.folder / CARD).read_text(encoding="utf-8")
    before, _, earlier = card.partition(f"\n## {heading}\n")
    _, mark, after = earlier.partition("\n## ")
    sections = [before, *([f"## {after}"] if mark else []), f"## {heading}\n\n{text}"]
    return write_bundle(
        bundle.folder,
        models={
            variant.name: (bundle.path(variant).read_bytes(), variant.quantization)
            for variant in manifest.variants
        },
        card="\n\n".join(section.strip() for section in sections) + "\n",
        labels=manifest.labels,
        width=manifest.width,
        height=manifest.height,
        metrics={**manifest.metrics, **metrics},
        data=manifest.data,
        versions=manifest.versions,
        task=manifest.task,
        heads=manifest.heads,
    )


def keep_earlier(folder: str | Path) -> Path | None:
    """Rename the bundle at ``folder`` to the first free ``folder_1``, ``folder_2`` …

    Returns its new folder, or None where there is no bundle.
    """
    folder = Path(folder)
    if not (folder / MANIFEST).is_file():
        return None
    kept = next(
        place
        for place in (folder.with_name(f"{folder.name}_{number}") for number in itertools.count(1))
        if not place.exists()
    )
    return folder.rename(kept)


def shipped_bundle(name: str = "default") -> Path:
    """Where a bundle that comes with autcar lies: in the checkout, or in the installed package."""
    package = Path(__file__).parent
    installed = package / "models" / name
    return installed if installed.is_dir() else package.parent / "models" / name
