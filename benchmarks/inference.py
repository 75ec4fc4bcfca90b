"""One inference on one thread: the default network, AutCar's CNN and Donkeycar's.

Run from the repository: ``python benchmarks/inference.py [--rounds 15] [--no-peers]``. All files
are timed in turn, in each runtime that this machine can have: LiteRT, and tflite-runtime in
an environment of its own. AutCar's CNN and Donkeycar's linear are untrained: they compute
as much. Donkeycar's is made by its own code, at the size that it comes with and at ours.
Prints a table, what was promised, and a line of JSON.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

from peers.environments import donkey_training_python, tflite_python

TIMES_FASTER = {"AutCar's CNN": 8.0, "Donkeycar 224×168": 10.0}
INT8_KB = 150


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15, help="each file once a round (15)")
    parser.add_argument("--runs", type=int, default=40, help="inferences a round (40)")
    parser.add_argument("--bundle", metavar="FOLDER", help="default: the one shipped")
    parser.add_argument("--no-peers", action="store_true", help="neither Donkeycar nor 2.14")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = models(Path(folder), arguments)
        pythons = [sys.executable, None if arguments.no_peers else tflite_python()]
        rows = [row for python in pythons if python for row in timed(python, files, arguments)]
    print(f"{'':<20}{'file':<10}{'kB':>8}  {'runtime':<16}{'CPU ms':>8}{'± MAD':>8}{'ms':>8}")
    for row in rows:
        print(
            f"{row['network']:<20}{row['variant']:<10}{row['kb']:>8,.0f}  {row['runtime']:<16}"
            f"{row['cpu_ms']:>8.3f}{row['cpu_mad_ms']:>8.3f}{row['ms']:>8.3f}"
        )
    best = {
        name: min((row for row in rows if row["network"] == name), key=lambda row: row["cpu_ms"])
        for name in dict.fromkeys(row["network"] for row in rows)
    }
    times_faster = {name: row["cpu_ms"] / best["default"]["cpu_ms"] for name, row in best.items()}
    kb = next(row["kb"] for row in rows if row["variant"] == "int8")
    promises = [
        (
            f"{times_faster[name]:.1f} × faster than {name} ≥ {times:g} ×",
            times_faster[name] >= times,
        )
        for name, times in TIMES_FASTER.items()
        if name in best
    ]
    promises.append((f"int8 file {kb:.0f} kB ≤ {INT8_KB} kB", kb <= INT8_KB))
    for text, kept in promises:
        print(f"{'kept  ' if kept else 'BROKEN'}  {text}")
    peer_kb = next((row["kb"] for row in rows if "Donkeycar" in row["network"]), None)
    rounds = {name: row["cpu_rounds_ms"] for name, row in best.items()}
    found = {"best_cpu_ms": rounds, "int8_kb": kb, "donkeycar_kb": peer_kb, "rows": rows}
    print(json.dumps(found))
    return 0 if all(kept for _, kept in promises) else 1


def models(folder: Path, arguments: argparse.Namespace) -> dict[str, tuple[str, str]]:
    """Files by path, each with its network's name and variant."""
    import numpy as np

    from autcar.bundle import load_bundle, shipped_bundle
    from trainer.quiet import import_tensorflow

    bundle = load_bundle(arguments.bundle or shipped_bundle())
    manifest = bundle.manifest
    files = {str(bundle.path(v)): ("default", v.name) for v in manifest.variants}
    import_tensorflow()
    from trainer.networks import build_network
    from trainer.proof.quantize import to_tflite

    size = (manifest.height, manifest.width)
    noise = np.random.default_rng(0).integers(0, 256, (16, *size, 3), np.uint8)
    network = build_network("autcar", *size, len(manifest.labels))
    for kind in ("int8", "float32"):
        path = folder / f"autcar_{kind}.tflite"
        path.write_bytes(to_tflite(network, kind, noise))
        files[str(path)] = "AutCar's CNN", kind
    if not arguments.no_peers:
        command = [donkey_training_python(), str(HERE / "peers/donkey_linear.py"), str(folder)]
        subprocess.run(command, capture_output=True, check=True)
        for width, height in ((160, 120), (224, 168)):
            path = folder / f"linear_{width}x{height}.tflite"
            files[str(path)] = f"Donkeycar {width}×{height}", "float32"
    return files


def timed(
    python: str, files: dict[str, tuple[str, str]], arguments: argparse.Namespace
) -> list[dict[str, Any]]:
    """Each file's time in the runtime of one Python."""
    script = str(HERE / "peers/time_models.py")
    command = [python, script, str(arguments.rounds), str(arguments.runs), "1", *files]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    return [
        {
            "network": files[row["file"]][0],
            "variant": files[row["file"]][1],
            "kb": Path(row["file"]).stat().st_size / 1000,
            "runtime": found["runtime"],
            **{key: row[key] for key in ("ms", "cpu_ms", "cpu_mad_ms", "cpu_rounds_ms")},
        }
        for row in found["rows"]
    ]


if __name__ == "__main__":
    sys.exit(main())
