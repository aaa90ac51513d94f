"""The JSON Schema of the configuration: for editors, and the source of its reference."""

from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from refresher.config.sections import ConfigSection


class _Strict(GenerateJsonSchema):
    """Says what pydantic leaves unsaid: a key may be left out but not null, no other names fit."""

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        described = super().dict_schema(schema)
        if "patternProperties" in described:
            described["additionalProperties"] = False
        return described

    def field_title_should_be_set(self, schema: object) -> bool:  # noqa: ARG002 - pydantic's signature
        return False


def json_schema() -> dict[str, Any]:
    """The schema of a main configuration file, after variables are replaced."""
    return {
        "$schema": _Strict.schema_dialect,
        **ConfigSection.model_json_schema(schema_generator=_Strict),
    }
