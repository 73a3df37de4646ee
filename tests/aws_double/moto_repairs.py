"""Where moto 5.2 does otherwise than S3, and where it is so slow that a benchmark would measure it: put right here."""

import functools
from typing import Any
from urllib.parse import quote_plus

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.s3 import models, notifications

OTHER_BACKENDS = ("/v20180820/", "/moto-api", "/latest/")


class Dispatcher:
    """moto's application for each service.

    moto's own dispatcher lists its folder of services for every request, 3 ms each, so its choice is kept by service.
    """

    def __init__(self) -> None:
        self._dispatcher = DomainDispatcherApplication(_application)
        self._known: dict[str, Any] = {}

    def __call__(self, service: str, environ: dict[str, Any], start_response: Any) -> Any:
        """Answer a call to a service."""
        if environ["PATH_INFO"].startswith(OTHER_BACKENDS):
            return self._dispatcher(environ, start_response)
        if service not in self._known:
            self._known[service] = self._dispatcher.get_application(environ)
        return self._known[service](environ, start_response)


def repair_notifications() -> None:
    """Announce objects as S3 does: slashes in keys stay, and a put without tags is no tagging."""
    send = notifications.send_event

    def send_event(account_id: str, event_name: Any, bucket: Any, key: Any) -> None:
        if event_name is not notifications.S3NotificationEvent.OBJECT_TAGGING_PUT_EVENT:
            send(account_id, event_name, bucket, key)

    notifications.send_event = send_event
    notifications.quote_plus = functools.partial(quote_plus, safe="/")  # pyright: ignore[reportPrivateImportUsage]


def repair_multipart_uploads() -> None:
    """Compute no checksum that nobody asked for: of 256 MB it takes two seconds."""
    builder = models.MultipartChecksumBuilder

    def build(algorithm: str | None, kind: str | None) -> Any:
        return builder(algorithm, kind) if algorithm else NoChecksum()

    models.MultipartChecksumBuilder = build  # pyright: ignore[reportAttributeAccessIssue]


def repair_replaced_objects() -> None:
    """Let whoever reads an object that is replaced or deleted meanwhile read it to its end, as S3 does.

    moto closes the content at once, and a job that was about to fetch it, or a download, broke off.
    """
    close = models.FakeKey.dispose

    def dispose(self: models.FakeKey, garbage: bool = False) -> None:
        if garbage:  # nobody has it any more
            close(self)

    models.FakeKey.dispose = dispose


class NoChecksum:
    """Stands in for moto's builder of checksums where the upload named no algorithm."""

    def addPart(self, part: bytes) -> None:
        """Do nothing."""

    def build(self) -> None:
        """There is none."""


def _application(service: Any) -> Any:
    app = create_backend_app(service)
    app.debug = False  # an error of moto becomes a 500 with its traceback on standard error, not a lost connection
    return app
