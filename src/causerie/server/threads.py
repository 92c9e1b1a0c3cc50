"""Thread pools of the server, so that slow work of one kind does not delay the others.

asyncio's own pool is left to the libraries: a lock of the voices' folder, or a long recording,
would occupy it all.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

Args = ParamSpec("Args")
Result = TypeVar("Result")

#: Reads and writes the folder of voices, consents and dictionaries.
_store = ThreadPoolExecutor(4, "causerie store")
#: Changes that folder, which waits for other processes' locks.
_changes = ThreadPoolExecutor(4, "causerie changes")
#: Decodes recordings; each takes a core.
_decoding = ThreadPoolExecutor(2, "causerie decoding")


async def in_store(
    function: Callable[Args, Result], *args: Args.args, **kwargs: Args.kwargs
) -> Result:
    """The result of a function that reads stored voices, consents or dictionaries."""
    return await _run(_store, partial(function, *args, **kwargs))


async def in_changes(
    function: Callable[Args, Result], *args: Args.args, **kwargs: Args.kwargs
) -> Result:
    """The result of a function that changes stored voices, consents or dictionaries."""
    return await _run(_changes, partial(function, *args, **kwargs))


async def in_decoding(
    function: Callable[Args, Result], *args: Args.args, **kwargs: Args.kwargs
) -> Result:
    """The result of a function that works on a recording."""
    return await _run(_decoding, partial(function, *args, **kwargs))


async def _run(pool: ThreadPoolExecutor, work: Callable[[], Result]) -> Result:
    context = contextvars.copy_context()  # has the request's id, for the log
    return await asyncio.get_running_loop().run_in_executor(pool, context.run, work)
