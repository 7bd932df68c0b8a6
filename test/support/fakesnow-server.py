"""A Snowflake for tests: fakesnow's server with what the Node driver needs on top.

The plain server answers in Arrow, which the Node driver does not read, lets files be uploaded to a bucket, and answers an
exception with a 500, which the driver tries again for minutes. Usage: fakesnow-server.py PORT; prints "ready" when it listens.
"""

import gzip
import json
import re
import sys
from base64 import b64decode
from datetime import date, datetime, time, timezone
from decimal import Decimal
from importlib import import_module

import pyarrow as pa
import uvicorn
from starlette.applications import Starlette
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

SETTINGS = re.compile(r"(\w+)\s*=\s*('[^']*'|\w+)")
# By the token of a session.
sessions = {}


async def query(request):
    body = await request.body()
    sent = json.loads(gzip.decompress(body) if request.headers.get("Content-Encoding") == "gzip" else body)
    if sent["sqlText"].startswith("ALTER SESSION SET "):
        return settings(server.to_token(request), sent["sqlText"])
    try:
        response = await server.query_request(request)
    except Exception as error:  # noqa: BLE001
        return failed(str(error))
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
    parameters = [{"name": name, "value": value.strip("'")} for name, value in SETTINGS.findall(sql)]
    sessions[token] = parameters
    rowtype = [{"name": "status", "type": "text", "nullable": True, "scale": None, "precision": None, "length": None}]
    data = {"parameters": parameters, "rowtype": rowtype, "rowset": [["done"]], "total": 1, "returned": 1}
    return JSONResponse({"data": {**data, "queryId": "0", "queryResultFormat": "json"}, "success": True})


def failed(message):
    data = {"errorCode": "261000", "sqlState": "XX000"}
    return JSONResponse({"data": data, "code": "261000", "message": message, "success": False})


if __name__ == "__main__":
    port = int(sys.argv[1])
    routes = [route for route in server.app.routes if getattr(route, "path", "") != "/queries/v1/query-request"]
    app = Starlette(routes=[Route("/queries/v1/query-request", query, methods=["POST"]), *routes])
    config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="critical", access_log=False)
    running = uvicorn.Server(config)
    startup = running.startup

    async def ready(*args, **kwargs):
        await startup(*args, **kwargs)
        print("ready", flush=True)

    running.startup = ready
    running.run()
