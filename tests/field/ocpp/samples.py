"""A payload with every property that a schema has, for tests that must see every name."""

from typing import Any

from v2g_edge.field.ocpp.wire.messages import Version
from v2g_edge.field.ocpp.wire.schemas import Kind, schema


def sample(version: Version, action: str, kind: Kind) -> dict[str, Any]:
    """A conforming payload of one message, all optional properties filled in."""
    root = schema(version, action, kind)
    built: dict[str, Any] = _build(root, root.get("definitions", {}))
    return built


def property_names(node: Any) -> set[str]:
    """Every name under a ``properties`` of a schema."""
    names: set[str] = set()
    if isinstance(node, dict):
        if isinstance(node.get("properties"), dict):
            names |= set(node["properties"])
        for value in node.values():
            names |= property_names(value)
    elif isinstance(node, list):
        for value in node:
            names |= property_names(value)
    return names


def keys(value: Any) -> set[str]:
    """Every key of a payload, at any depth."""
    if isinstance(value, dict):
        return set(value) | {key for inner in value.values() for key in keys(inner)}
    if isinstance(value, list):
        return {key for inner in value for key in keys(inner)}
    return set()


def _build(node: dict[str, Any], definitions: dict[str, Any]) -> Any:
    if "$ref" in node:
        return _build(definitions[node["$ref"].rsplit("/", 1)[1]], definitions)
    if "enum" in node:
        return node["enum"][0]
    if node.get("type") == "object":
        return {name: _build(inner, definitions) for name, inner in node.get("properties", {}).items()}
    if node.get("type") == "array":
        return [_build(node["items"], definitions)] * max(1, node.get("minItems", 1))
    return _leaf(node)


def _leaf(node: dict[str, Any]) -> Any:
    if node.get("type") == "string":
        if node.get("format") == "date-time":
            return "2026-01-02T03:04:05Z"
        return ("https://a.b/c" if node.get("format") == "uri" else "x")[: node.get("maxLength", 99)]
    if node.get("type") in {"integer", "number"}:
        least, most = node.get("minimum", -1e9), node.get("maximum", 1e9)
        value = min(max(1, least), most)
        return int(value) if node["type"] == "integer" or value == int(value) else value
    return True if node.get("type") == "boolean" else "anything"
