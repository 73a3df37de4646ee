"""The server's process: `python -m aws_double.serve --port 0`. It prints its port, and ends when its standard input is closed."""

import argparse
import logging
import os
import sys
import threading

# Objects up to 2 GB stay in memory, so that a benchmark of S3 does not measure the disk below the server.
os.environ.setdefault("MOTO_S3_DEFAULT_KEY_BUFFER_SIZE", str(2 * 1024**3))

from werkzeug.serving import make_server

from aws_double.application import Application
from aws_double.client import aws_environment
from aws_double.control import Control
from aws_double.endpoints import EndpointApi
from aws_double.faults import FaultScript
from aws_double.job_api import JobApi
from aws_double.job_queue import JobQueue
from aws_double.keep_alive import KeepAliveHandler
from aws_double.listings import Listings
from aws_double.moto_repairs import repair_multipart_uploads, repair_notifications, repair_replaced_objects


def main() -> None:
    """Serve until standard input is closed."""
    parser = argparse.ArgumentParser(prog="python -m aws_double.serve")
    parser.add_argument("--port", type=int, default=0)
    port = parser.parse_args().port
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    endpoint = ""
    faults = FaultScript()
    listings = Listings()
    queue = JobQueue(faults, lambda: aws_environment(endpoint), listings.wrote)
    endpoints = EndpointApi(faults, lambda: aws_environment(endpoint))
    repair_notifications()
    repair_multipart_uploads()
    repair_replaced_objects()
    control = Control(Application(faults, JobApi(queue), endpoints, listings), faults, queue, endpoints, listings)
    server = make_server("127.0.0.1", port, control, threaded=True, request_handler=KeepAliveHandler)
    endpoint = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()
    queue.clear()
    endpoints.clear()
    # Connections that stay open have threads of their own, which wait for another request.
    os._exit(0)


if __name__ == "__main__":
    main()
