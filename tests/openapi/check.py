"""Checks that the description of a running server is a document of OpenAPI 3.1, and that its examples fit its schemas.

    python check.py http://127.0.0.1:8080/openapi.json
"""

import json
import sys
import urllib.request

from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012


def main(url):
    with urllib.request.urlopen(url) as answer:
        document = json.load(answer)
    problems = [f"{list(error.path)}: {error.message}" for error in OpenAPIV31SpecValidator(document).iter_errors()]
    checked = 0
    registry = Registry().with_resource("urn:api", Resource(contents=document, specification=DRAFT202012))
    for place, schema, example in examples(document):
        checked += 1
        schema = json.loads(json.dumps(schema).replace('"#/components/', '"urn:api#/components/'))
        validator = Draft202012Validator(schema, registry=registry)
        problems += [f"{place}: {error.message}" for error in validator.iter_errors(example)]
    for problem in problems:
        print(problem, file=sys.stderr)
    operations = sum(len(methods) for methods in document["paths"].values())
    print(f"{operations} operations, {checked} examples: {len(problems)} problems")
    return 1 if problems or not checked else 0


def examples(document):
    """Each example, with where it stands and the schema that it has to fit."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            place = f"{method} {path}"
            for parameter in operation.get("parameters", []):
                # In a path all is text.
                if "example" in parameter and parameter["schema"].get("type") == "string":
                    yield place, parameter["schema"], parameter["example"]
            contents = [operation["requestBody"]["content"]] if "requestBody" in operation else []
            contents += [answer["content"] for answer in operation["responses"].values() if "content" in answer]
            for content in (content for group in contents for content in group.values()):
                for name, example in content.get("examples", {}).items():
                    yield f"{place}: {name}", content["schema"], example["value"]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
