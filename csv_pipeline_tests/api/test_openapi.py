"""The API describes itself whole: each body, answer and refusal has an example that fits it."""

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from csv_pipeline.api.app import make_app
from csv_pipeline.api.problems import CODES, MEDIA_TYPE
from csv_pipeline.api.service import Service

_OF_NO_ROUTE = {"wrong_method", "unforeseen"}


@pytest.fixture(scope="module")
def described(service: Service) -> dict[str, Any]:
    return make_app(service).openapi()


def operations(described: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in described["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def shown_in(content: dict[str, Any]) -> list[Any]:
    """Return the examples of a body or an answer."""
    named = [its["value"] for its in content.get("examples", {}).values()]
    return [*named, content["example"]] if "example" in content else named


def faults_of(described: dict[str, Any], content: dict[str, Any]) -> list[str]:
    """Return what of the examples does not fit the schema; having none is a fault as well."""
    schema = content.get("schema", {}) | {"components": described["components"]}
    its = Draft202012Validator(schema)
    found = [fault.message for shown in shown_in(content) for fault in its.iter_errors(shown)]
    return found if "schema" in content and shown_in(content) else ["no schema or no example"]


def test_each_body_has_an_example_that_fits(described: dict[str, Any]) -> None:
    bodies = {
        f"{name} {kind}": faults_of(described, content)
        for name, operation in operations(described)
        for kind, content in operation.get("requestBody", {}).get("content", {}).items()
    }
    assert len(bodies) >= 12
    assert {name: faults for name, faults in bodies.items() if faults} == {}


def test_each_answer_and_refusal_has_examples_that_fit(described: dict[str, Any]) -> None:
    answers = {
        f"{name} {status} {kind}": faults_of(described, content)
        for name, operation in operations(described)
        for status, answer in operation["responses"].items()
        for kind, content in answer.get("content", {}).items()
    }
    assert len(answers) > 200
    assert {name: faults for name, faults in answers.items() if faults} == {}


def test_each_refusal_is_named_by_its_code_and_each_code_is_of_a_route(
    described: dict[str, Any],
) -> None:
    named = set()
    for name, operation in operations(described):
        for status, answer in operation["responses"].items():
            if status >= "400":
                problems = answer["content"][MEDIA_TYPE]["examples"]
                assert {str(CODES[code][0]) for code in problems} == {status}, name
                assert all(its["value"]["code"] == code for code, its in problems.items())
                named |= problems.keys()
    assert named == CODES.keys() - _OF_NO_ROUTE


def test_an_example_keeps_what_is_null(described: dict[str, Any]) -> None:
    shown = described["paths"]["/api/v1/imports"]["get"]["responses"]["200"]["content"]
    (page,) = shown_in(shown["application/json"])
    assert page["next"] is None
    assert page["imports"][0]["problem"] is None
