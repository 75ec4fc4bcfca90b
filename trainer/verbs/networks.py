"""The verb ``networks``."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import Any

from autcar.arguments import positive
from trainer.verbs.arguments import add_parser, size

_EXAMPLES = """\
examples:
  autcar networks
  autcar networks compact mine:build --size 160x120

Times are of one thread of this machine.
"""


def add_verb(verbs: Any) -> None:
    """Add ``networks`` to the sub-parsers of the ``autcar`` command."""
    parser = add_parser(verbs, "networks", "list the networks and what they cost", _EXAMPLES)
    add = parser.add_argument
    add("network", nargs="*", metavar="NAME", help="only these; one's own as module:function")
    add("--size", type=size, default=(224, 168), metavar="WxH", help="of the frames (224x168)")
    add("--classes", type=positive, default=12, help="that it tells apart (12)")
    add("--json", action="store_true", help="print one JSON object instead")
    parser.set_defaults(run=_networks)


def _networks(arguments: argparse.Namespace) -> int:
    from trainer.quiet import import_tensorflow

    import_tensorflow()
    from trainer.networks import NETWORKS, build_network
    from trainer.proof.cost import cost

    width, height = arguments.size
    found = {
        name: cost(build_network(name, height, width, arguments.classes))
        for name in arguments.network or NETWORKS
    }
    if arguments.json:
        print(json.dumps({name: asdict(row) for name, row in found.items()}))
        return 0
    print(f"{'network':10} {'parameters':>10} {'MMAC':>6} {'int8 ms':>8} {'float ms':>8}")
    for name, row in found.items():
        times = row.latency_ms
        print(
            f"{name:10} {row.parameters:>10,} {row.macs / 1e6:>6.1f} {times['int8']:>8.2f} "
            f"{times['float32']:>8.2f}  {NETWORKS.get(name, '')}"
        )
    return 0
