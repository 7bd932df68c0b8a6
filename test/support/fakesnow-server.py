"""A Snowflake for tests: fakesnow's server with what the Node driver needs on top.

The plain server answers in Arrow, which the Node driver does not read, lets files be uploaded to a bucket, and answers an
exception with a 500, which the driver tries again for minutes. It has no locks and reads no bucket: both are here, as the
documentation tells them. Usage: fakesnow-server.py PORT; prints "ready" when it listens. FAKESNOW_S3 and FAKESNOW_GCS: addresses
of emulators of buckets, for external stages. FAKESNOW_IDLE_S: after so long an idle transaction gives way to one that waits for it.
"""

import asyncio
import gzip
import json
import os
import re
import sys
import tempfile
import time as clock
from base64 import b64decode
from datetime import date, datetime, time, timezone
from decimal import Decimal
from importlib import import_module
from urllib.parse import quote, urlparse
from urllib.request import urlopen

import boto3
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse
from starlette.routing import Route

# The package has a function of this name, too.
server = import_module("fakesnow.server")
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def seconds(value):
    """epoch.nanoseconds, as the real server writes a moment."""
    micros = value - (EPOCH if value.tzinfo else EPOCH.replace(tzinfo=None))
    whole = micros.days * 86_400 + micros.seconds
    return f"{whole}.{micros.microseconds * 1000:09d}"


def text(value, kind):
    if value is None:
        return None
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, datetime):
        return f"{seconds(value)} 1440" if kind == "timestamp_tz" else seconds(value)
    if isinstance(value, date):
        return str((value - date(1970, 1, 1)).days)
    if isinstance(value, time):
        whole = value.hour * 3600 + value.minute * 60 + value.second
        return f"{whole}.{value.microsecond * 1000:09d}"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, (dict, list)):
        return json.dumps(value, separators=(",", ":"))
    return str(value)


def rowset(table, rowtype):
    """Rows as the JSON that the Node driver reads, in place of Arrow."""
    columns = [
        [text(value, column["type"]) for value in table.column(at).to_pylist()] for at, column in enumerate(rowtype)
    ]
    return json.dumps(list(zip(*columns, strict=True))).encode()


server.to_sf = rowset
server.to_ipc = lambda encoded: encoded
# A file is copied on the disk that both sides see.
server.gcs_stage_info = lambda request, expression, data: data["stageInfo"]


# A MERGE makes a table of its own first, whose comment goes to another file: impossible within a transaction.
info_schema = import_module("fakesnow.info_schema")
comment_sql = info_schema.insert_table_comment_sql
info_schema.insert_table_comment_sql = lambda catalog, schema, table, comment: (
    "SELECT 1" if table.upper() == "MERGE_CANDIDATES" else comment_sql(catalog, schema, table, comment)
)

# It writes the names of columns into a statement without quoting them.
info_schema.insert_text_lengths_sql = lambda *lengths: "SELECT 1"

# What an external stage has, as files of this machine.
copying = import_module("fakesnow.copy_into")
local_files = copying._source_glob


def bucket_files(source, connection):
    url = urlparse(source)
    if url.scheme not in ("s3", "gcs"):
        return local_files(source, connection)
    prefix = url.path.lstrip("/")
    return s3_files(url.netloc, prefix) if url.scheme == "s3" else gcs_files(url.netloc, prefix)


def kept(body):
    with tempfile.NamedTemporaryFile(suffix=".parquet", delete=False) as file:
        file.write(body)
    return file.name


def s3_files(bucket, prefix):
    keys = {"aws_access_key_id": "any", "aws_secret_access_key": "any", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=os.environ["FAKESNOW_S3"], **keys)
    found = client.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    return [kept(client.get_object(Bucket=bucket, Key=one["Key"])["Body"].read()) for one in found]


def gcs_files(bucket, prefix):
    objects = f"{os.environ['FAKESNOW_GCS']}/storage/v1/b/{bucket}/o"

    def read(path):
        with urlopen(objects + path) as answer:  # noqa: S310
            return answer.read()

    found = json.loads(read(f"?prefix={quote(prefix, safe='')}")).get("items", [])
    return [kept(read(f"/{quote(one['name'], safe='')}?alt=media")) for one in found]


copying._source_glob = bucket_files

STAGE = re.compile(r'^DESC STAGE "?(\w+)"?\."?(\w+)"?\."?(\w+)"?$')


def describe_stage(token, sql):
    """The part of the answer that tells where the stage is."""
    names = [name.upper() for name in STAGE.match(sql).groups()]
    connection = server.to_conn(token)._duck_conn.cursor()
    found = connection.execute(
        "SELECT url FROM _fs_global._fs_information_schema._fs_stages WHERE database_name = ? AND schema_name = ? AND name = ?",
        names,
    ).fetchone()
    if found is None:
        return failed(f"Stage '{'.'.join(names)}' does not exist or not authorized.", "002003", "02000")
    row = ["STAGE_LOCATION", "URL", "String", json.dumps([found[0]] if found[0] else []), ""]
    return answered(["parent_property", "property", "property_type", "property_value", "property_default"], [row])


SETTINGS = re.compile(r"(\w+)\s*=\s*('[^']*'|\w+)")
# By the token of a session.
sessions = {}

WRITE = re.compile(r'^(?:UPDATE|DELETE FROM|MERGE INTO)\s+((?:"[^"]*"|\w+)(?:\.(?:"[^"]*"|\w+))*)')
# "Transactions": who blocks another transaction and is idle for 5 minutes is rolled back.
IDLE_S = float(os.environ.get("FAKESNOW_IDLE_S", "300"))
LOCK_POLL_S = 0.01
BUSY = float("inf")


class Transactions:
    """
    UPDATE, DELETE and MERGE lock their table until the transaction ends; another one waits for LOCK_TIMEOUT. A transaction begins
    with its first statement, so that it sees what was committed before: each statement of the real server does.
    """

    def __init__(self):
        self.begun = set()
        self.open = {}
        self.holders = {}

    async def begin_late(self, token):
        if token in self.begun:
            self.begun.discard(token)
            await run_in_threadpool(server.to_conn(token).cursor().execute, "BEGIN")
        if token in self.open:
            self.open[token] = BUSY

    def idle(self, token):
        if token in self.open:
            self.open[token] = clock.monotonic()
        else:
            self.release(token)

    async def lock(self, token, database, table):
        """False when somebody else kept it for too long."""
        name = f"{database}.{table}".replace('"', "").upper()
        settings = {one["name"]: one["value"] for one in sessions.get(token, [])}
        late = clock.monotonic() + float(settings.get("LOCK_TIMEOUT", "43200"))
        while self.holders.get(name, token) != token:
            holder = self.holders[name]
            if clock.monotonic() - self.open.get(holder, 0) > IDLE_S:
                await self.end(holder, "ROLLBACK")
                continue
            if clock.monotonic() > late:
                return False
            await asyncio.sleep(LOCK_POLL_S)
        self.holders[name] = token
        return True

    def release(self, token):
        self.begun.discard(token)
        self.open.pop(token, None)
        self.holders = {name: holder for name, holder in self.holders.items() if holder != token}

    async def end(self, token, word):
        if token in self.open and token not in self.begun and token in server.sessions:
            await run_in_threadpool(server.to_conn(token).cursor().execute, word)
        self.release(token)


transactions = Transactions()


async def query(request):
    body = await request.body()
    sent = json.loads(gzip.decompress(body) if request.headers.get("Content-Encoding") == "gzip" else body)
    token, sql = server.to_token(request), sent["sqlText"]
    if sql.startswith("ALTER SESSION SET "):
        return settings(token, sql)
    if sql.startswith("DESC STAGE "):
        return describe_stage(token, sql)
    if sql in ("BEGIN", "COMMIT", "ROLLBACK"):
        return await bound(token, sql)
    # As a session that names none; a MERGE here asks for it.
    server.to_conn(token)._schema = server.to_conn(token).schema or "PUBLIC"
    written = WRITE.match(sql)
    if written and not await transactions.lock(token, server.to_conn(token).database, written[1]):
        return failed(f"{written[1]} is locked by another transaction", "000625", "57014")
    try:
        await transactions.begin_late(token)
        response = await server.query_request(request)
    except Exception as error:  # noqa: BLE001
        return failed(str(error))
    finally:
        transactions.idle(token)
    body = json.loads(response.body)
    if response.status_code >= 500:
        return failed(str(body.get("message")))
    data = body.get("data")
    if body.get("success") and isinstance(data, dict) and "rowtype" in data:
        encoded = data.pop("rowsetBase64", None)
        if encoded is not None:
            data["queryResultFormat"] = "json"
            data["rowset"] = json.loads(b64decode(encoded) or "[]")
        data["total"] = data["returned"] = len(data["rowset"])
        data["parameters"] += sessions.get(server.to_token(request), [])
    return JSONResponse(body, status_code=response.status_code)


def settings(token, sql):
    """The real server tells the driver with each answer what a session has set: it writes days and times by that."""
    sessions[token] = [{"name": name, "value": value.strip("'")} for name, value in SETTINGS.findall(sql)]
    return answered(["status"], [["done"]], sessions[token])


async def bound(token, word):
    """The begin or the end of a transaction."""
    if word == "BEGIN":
        transactions.begun.add(token)
        transactions.open[token] = clock.monotonic()
        return answered(["status"], [["done"]], sessions.get(token, []))
    try:
        await transactions.end(token, word)
    except Exception as error:  # noqa: BLE001
        return failed(str(error))
    return answered(["status"], [["done"]], sessions.get(token, []))


def answered(columns, rows, parameters=()):
    kind = {"type": "text", "nullable": True, "scale": None, "precision": None, "length": None}
    rowtype = [{"name": name, **kind} for name in columns]
    data = {"parameters": list(parameters), "rowtype": rowtype, "rowset": rows, "total": len(rows), "returned": len(rows)}
    return JSONResponse({"data": {**data, "queryId": "0", "queryResultFormat": "json"}, "success": True})


def failed(message, code="261000", state="XX000"):
    data = {"errorCode": code, "sqlState": state}
    return JSONResponse({"data": data, "code": code, "message": message, "success": False})


async def session(request):
    if request.query_params.get("delete"):
        transactions.release(server.to_token(request))
    return await server.session(request)


if __name__ == "__main__":
    port = int(sys.argv[1])
    ours = [Route("/queries/v1/query-request", query, methods=["POST"]), Route("/session", session, methods=["POST"])]
    routes = [route for route in server.app.routes if getattr(route, "path", "") not in ("/queries/v1/query-request", "/session")]
    app = Starlette(routes=[*ours, *routes])
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="critical", access_log=False)
    running = uvicorn.Server(config)
    startup = running.startup

    async def ready(*args, **kwargs):
        await startup(*args, **kwargs)
        print("ready", flush=True)

    running.startup = ready
    running.run()
