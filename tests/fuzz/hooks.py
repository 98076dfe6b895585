"""What Schemathesis makes queries of, and what it looks at in each answer: its status, its codes, GraphQL's rules of null.

Its own check takes a cursor that is none for a failure of the server's, because it is told at its field.
"""

import os
import pathlib
import re

import schemathesis
from graphql import GraphQLList, GraphQLNonNull, build_schema, is_abstract_type, parse, validate
from graphql.language import FieldNode, FragmentSpreadNode, OperationDefinitionNode
from hypothesis import strategies
from schemathesis.graphql import nodes

PROJECT = pathlib.Path(__file__).parents[2]
# What is introspected lacks `@oneOf`.
SCHEMA = build_schema((PROJECT / "schema.graphql").read_text())
CODES = set(re.findall(r"^\| `([A-Z_]+)` \|", (PROJECT / "docs" / "errors.md").read_text(), re.MULTILINE))
# What no client can bring about.
OURS = {"INTERNAL", "TIMEOUT"}

# Mostly ids of what is there, so that queries get somewhere.
KNOWN = strategies.sampled_from(os.environ["FUZZ_IDS"].split())
schemathesis.graphql.scalar("ID", strategies.one_of(KNOWN, KNOWN, KNOWN, strategies.text()).map(nodes.String))


@schemathesis.check
def errors_are_the_callers(ctx, response, case):
    """Every error has a documented code, and none is ours."""
    assert response.status_code in (200, 400), response.status_code
    for error in response.json().get("errors", []):
        code = error.get("extensions", {}).get("code")
        assert code in CODES - OURS, error


@schemathesis.check
def queries_that_fit_the_schema_are_taken(ctx, response, case):
    """Whether a query fits the schema is what GraphQL's reference says."""
    errors = response.json().get("errors", [])
    codes = {error.get("extensions", {}).get("code") for error in errors}
    if validate(SCHEMA, parse(case.body)):
        assert codes, "it was taken"
    else:
        assert not codes & {"GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED"}, errors


@schemathesis.check
def answers_fit_the_schema(ctx, response, case):
    """What was asked for is there, and only what may be null is (GraphQL, October 2021, section 6.4)."""
    data = response.json().get("data")
    if data is None:
        return
    document = parse(case.body)
    fragments = {node.name.value: node for node in document.definitions if not isinstance(node, OperationDefinitionNode)}
    operation = next(node for node in document.definitions if isinstance(node, OperationDefinitionNode))
    look(data, SCHEMA.query_type, [operation.selection_set], fragments)


def fields_of(sets, type_, fragments):
    """The fields of an object of this type, by their names in the answer, each wherever it is selected."""
    found = {}
    for node in (node for selected in sets for node in selected.selections):
        if isinstance(node, FieldNode):
            found.setdefault(node.alias.value if node.alias else node.name.value, []).append(node)
            continue
        fragment = fragments[node.name.value] if isinstance(node, FragmentSpreadNode) else node
        if applies(fragment.type_condition, type_):
            for name, more in fields_of([fragment.selection_set], type_, fragments).items():
                found.setdefault(name, []).extend(more)
    return found


def applies(condition, type_):
    on = SCHEMA.get_type(condition.name.value) if condition else type_
    return on is type_ or is_abstract_type(on) and SCHEMA.is_sub_type(on, type_)


def look(value, type_, sets, fragments, path=""):
    if isinstance(type_, GraphQLNonNull):
        assert value is not None, f"{path} is null"
        type_ = type_.of_type
    if value is None:
        return
    if isinstance(type_, GraphQLList):
        for index, item in enumerate(value):
            look(item, type_.of_type, sets, fragments, f"{path}.{index}")
    # Which type an object has that may have several is not known: nobody asked for it.
    elif sets and not is_abstract_type(type_):
        fields = fields_of(sets, type_, fragments)
        assert list(fields) == list(value), f"{path} has {list(value)} where {list(fields)} were asked for"
        for name, selected in fields.items():
            if (field := selected[0].name.value) != "__typename":
                inner = [node.selection_set for node in selected if node.selection_set]
                look(value[name], type_.fields[field].type, inner, fragments, f"{path}.{name}")
