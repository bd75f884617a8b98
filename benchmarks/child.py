"""One timed part in a process of its own: `python -m benchmarks.child MODULE FUNCTION ARGUMENTS`.

The arguments are a JSON object; what the function returns is printed as JSON, on the last line.
"""

import json
import logging
import sys
from importlib import import_module

import structlog


def main(module: str, function: str, arguments: str) -> None:
    """Call the function and print what it returns."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    found = getattr(import_module(f"benchmarks.{module}"), function)
    print(json.dumps(found(**json.loads(arguments))))


if __name__ == "__main__":
    main(*sys.argv[1:])
