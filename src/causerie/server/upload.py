"""The bytes of an uploaded file, within the limit of the settings."""

from __future__ import annotations

from fastapi import UploadFile

from causerie.server.errors import ApiError
from causerie.server.settings import Settings


async def upload_bytes(file: UploadFile, settings: Settings, param: str) -> bytes:
    """The bytes of an uploaded file.

    Args:
        param: the field of the request that held it, named in errors.

    Raises:
        ApiError: it is empty or too large.
    """
    limit = settings.max_upload_bytes
    data = await file.read(limit + 1)
    if len(data) > limit:
        raise ApiError(
            f"{param} is larger than {settings.max_upload_mb:g} MiB",
            status=413,
            code="too_large",
            param=param,
        )
    if not data:
        raise ApiError(f"{param} is empty", code="invalid_audio", param=param)
    return data
