"""Measure imports against the limit and against what a user may pick instead.

`python -m benchmarks` measures every part, keeps it in `benchmarks/results.json`, and renders the
README's table and the chart. `--only` measures some parts and keeps the others as they were, unless
those are of another machine. With `--quick` or `--rows` the figures are printed and not kept: they
say whether the measuring works, and little about speed.
"""

import argparse
import sys
from dataclasses import replace
from datetime import UTC, datetime

from benchmarks import show
from benchmarks.parts import Plan, plans
from benchmarks.results import Part, Results, load, save, this_machine
from benchmarks.server import Server, started

_QUICK_ROWS = 10_000


def main(arguments: list[str]) -> None:
    """Do as the command line says."""
    told = _told(arguments)
    if told.table:
        _render(load())
        return
    rows = _QUICK_ROWS if told.quick else told.rows
    wanted = [plan for plan in plans(full=told.full) if not told.only or plan.name in told.only]
    if rows:
        wanted = [
            replace(plan, rows=rows, rounds=1 if told.quick else plan.rounds) for plan in wanted
        ]
    with started() as server:
        machine = this_machine(server.version())
        before = None if rows else load()
        if before is None or before.machine != machine:
            before = Results(machine=machine, parts={})
        for plan in wanted:
            before = before.joined({plan.name: _measured(server, plan)})
            if not rows:
                save(before)
    if rows:
        print(show.tables(before))
    else:
        _render(before)


def _measured(server: Server, plan: Plan) -> Part:
    print(f"{plan.name}: {plan.rows:,} rows, rounds: {plan.rounds}")
    lines = tuple(plan.measure(server, plan.rows, plan.rounds))
    return Part(date=datetime.now(UTC).date().isoformat(), rounds=plan.rounds, lines=lines)


def _render(results: Results | None) -> None:
    if results is None:
        raise SystemExit("nothing was measured yet; run python -m benchmarks")
    print(show.tables(results))
    show.write_readme(results)
    show.write_chart(results)


def _told(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [plan.name for plan in plans()]
    parser.add_argument("--only", action="append", choices=names, help="measure this part")
    parser.add_argument("--rows", type=int, help="so many rows in each part; figures are not kept")
    parser.add_argument(
        "--quick", action="store_true", help=f"{_QUICK_ROWS:,} rows, one round; not kept"
    )
    parser.add_argument("--full", action="store_true", help="10m: all rows changed as well")
    parser.add_argument("--table", action="store_true", help="render what was measured before")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
