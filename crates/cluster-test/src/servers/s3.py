"""An S3-compatible server for tests: moto behind a check of every signature.

Usage: s3.py PORT BUCKET...

Reads one line of JSON from standard input, {"ACCESS KEY": "SECRET", ...}, makes the buckets, writes
`listening on 127.0.0.1:PORT` to standard error and serves until standard input ends. Each further
line of that form replaces all keys, and is answered by `keys replaced by ACCESS KEY, ...`. Port 0 is
any free one. What it holds is in memory.

moto itself takes every signature for good, and looks at a condition (`If-Match`) apart from the
write that it guards. Here a request without a valid signature (AWS Signature Version 4) is refused,
and requests are answered one at a time.
"""

import datetime
import hashlib
import hmac
import io
import json
import sys
import threading
import urllib.parse
import xml.sax.saxutils

from moto.core import DEFAULT_ACCOUNT_ID
from moto.s3.models import s3_backends
from moto.server import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

ALGORITHM = "AWS4-HMAC-SHA256"
CLOCK_SKEW = datetime.timedelta(minutes=15)
# Without these in the signature a request could be turned into another one.
SIGNED_AT_LEAST = {"host", "x-amz-content-sha256", "x-amz-date"}


class Refused(Exception):
    """A request whose signature proves nothing; the words are the code of S3's own answer."""


def header(environ, name):
    key = name.upper().replace("-", "_")
    if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
        key = "HTTP_" + key
    return environ.get(key, "")


def canonical_query(query):
    pairs = [part.partition("=") for part in query.split("&") if part]
    decoded = [tuple(map(urllib.parse.unquote_plus, (name, value))) for name, _, value in pairs]
    quoted = [tuple(urllib.parse.quote(it, safe="-_.~") for it in pair) for pair in decoded]
    return "&".join(f"{name}={value}" for name, value in sorted(quoted))


def canonical_request(environ, signed):
    path, _, query = environ["RAW_URI"].partition("?")
    headers = "".join(f"{name}:{' '.join(header(environ, name).split())}\n" for name in signed)
    parts = [
        environ["REQUEST_METHOD"],
        urllib.parse.quote(urllib.parse.unquote(path), safe="/-_.~"),
        canonical_query(query),
        headers,
        ";".join(signed),
        header(environ, "x-amz-content-sha256"),
    ]
    return "\n".join(parts)


def signature(secret, scope, date, request):
    key = ("AWS4" + secret).encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    digest = hashlib.sha256(request.encode()).hexdigest()
    text = "\n".join([ALGORITHM, date, scope, digest])
    return hmac.digest(key, text.encode(), "sha256").hex()


def check(environ, body, keys):
    algorithm, _, rest = header(environ, "authorization").partition(" ")
    fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    if algorithm != ALGORITHM or not {"Credential", "SignedHeaders", "Signature"} <= fields.keys():
        raise Refused("AccessDenied")
    access_key, _, scope = fields["Credential"].partition("/")
    signed = fields["SignedHeaders"].split(";")
    date = header(environ, "x-amz-date")
    if access_key not in keys:
        raise Refused("InvalidAccessKeyId")
    sent = datetime.datetime.strptime(date + "+0000", "%Y%m%dT%H%M%SZ%z")
    if abs(datetime.datetime.now(datetime.timezone.utc) - sent) > CLOCK_SKEW:
        raise Refused("RequestTimeTooSkewed")
    if not SIGNED_AT_LEAST <= set(signed) or not scope.endswith("/s3/aws4_request"):
        raise Refused("AccessDenied")
    payload = header(environ, "x-amz-content-sha256")
    if payload not in ("UNSIGNED-PAYLOAD", hashlib.sha256(body).hexdigest()):
        raise Refused("XAmzContentSHA256Mismatch")
    request = canonical_request(environ, signed)
    expected = signature(keys[access_key], scope, date, request)
    if not scope.startswith(date[:8]) or not hmac.compare_digest(expected, fields["Signature"]):
        raise Refused("SignatureDoesNotMatch")


class Server:
    """The application: moto, behind the check, one request at a time."""

    def __init__(self, keys):
        self.keys = keys
        self.moto = DomainDispatcherApplication(create_backend_app)
        self.turn = threading.Lock()

    def __call__(self, environ, start_response):
        # Read before the turn, so that a slow sender holds up nobody.
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        try:
            check(environ, body, self.keys)
        except (Refused, ValueError) as refused:
            code = str(refused) if isinstance(refused, Refused) else "AccessDenied"
            start_response("403 Forbidden", [("Content-Type", "application/xml")])
            # Amazon's own answer repeats who asked, too: clients must not pass it on.
            who = xml.sax.saxutils.escape(header(environ, "authorization"))
            return [f"<Error><Code>{code}</Code><Message>{who}</Message></Error>".encode()]
        with self.turn:
            return list(self.moto(environ, start_response))


class Handler(MotoRequestHandler):
    """Says nothing of single requests: nobody may be there to read it."""

    def log_request(self, code="-", size="-"):
        pass


def main():
    keys = json.loads(sys.stdin.readline())
    for bucket in sys.argv[2:]:
        s3_backends[DEFAULT_ACCOUNT_ID]["aws"].create_bucket(bucket, "us-east-1")
    application = Server(keys)
    port = int(sys.argv[1])
    server = make_server("127.0.0.1", port, application, threaded=True, request_handler=Handler)
    print(f"listening on 127.0.0.1:{server.server_port}", file=sys.stderr, flush=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for line in sys.stdin:
        application.keys = json.loads(line)
        print(f"keys replaced by {', '.join(application.keys)}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
