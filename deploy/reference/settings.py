"""The settings of all services, as a table."""

from shared.runtime.settings import Settings

HEAD = """# Settings

Environment variables, or lines of `.env`; written from `shared/runtime/settings.py`.

| name | default | meaning |
| --- | --- | --- |
"""


def page() -> str:
    rows = []
    for name, field in Settings.model_fields.items():
        secret = "Secret" in str(field.annotation)
        shown = "for local runs only" if secret else f"`{field.default}`"
        rows.append(f"| `{name.upper()}` | {shown} | {field.description} |\n")
    return HEAD + "".join(rows)
