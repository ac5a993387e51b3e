"""How a page is asked for where rows come newest first: those before an id."""

from typing import Annotated

from pydantic import Field

from shared.contracts.message import LARGEST_ID

FIRST = LARGEST_ID + 1
"""Before this one are all."""
Before = Annotated[int, Field(ge=1, le=FIRST)]
FileForm = Annotated[str, Field(pattern=r"^[a-z0-9]{1,8}$")]
"""What a file is: the end of its name."""
