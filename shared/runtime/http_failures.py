"""What a call over HTTP may fail with on the way: httpx2's own errors, and what leaks from below it.

A connection that its other side closes while it is being made has no socket any more when anyio asks it for its address
(`_SocketProvider.extra_attributes`), which is an AttributeError.
"""

import httpx2

HTTP_FAILURES = (httpx2.HTTPError, AttributeError)
