"""Serves bqemulator on a free port of 127.0.0.1 and prints it as one line of JSON.

What is mended here, because tests would prove nothing without it: no spatial extension is fetched; the catalog tells the columns that
a table has now, with the digits of decimals, instead of those that it was made with; RAISE ends a job and not the request; one ALTER
TABLE may add several columns; statements of two scripts of a project take turns, and of two transactions that change the same lock row
the second is stopped.
"""

import asyncio
import collections
import json
import os
import re
import sys
import threading

# It logs to stdout.
answer = os.fdopen(os.dup(1), "w")
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

os.environ["BQEMU_ENABLE_FORMAT_EXTENSIONS"] = "false"
os.environ["BQEMU_REST_PORT"] = "0"
os.environ["BQEMU_GRPC_PORT"] = "0"
os.environ["BQEMU_LOG_LEVEL"] = "critical"
os.environ["BQEMU_TIME_TRAVEL_RETENTION_DAYS"] = "0"

from bqemulator.api.routes import tables
from bqemulator.config import Settings
from bqemulator.domain.errors import InvalidQueryError
from bqemulator.scripting.exceptions import ScriptRaise
from bqemulator.scripting.interpreter import ScriptInterpreter
from bqemulator.server import EmulatorServer
from bqemulator.storage.engine import DuckDBEngine

engines = []
start = DuckDBEngine.start


async def started(self):
    await start(self)
    engines.append(self)


DuckDBEngine.start = started
DuckDBEngine._load_spatial = lambda self: None

run = ScriptInterpreter.run
held = set()
running = collections.Counter()


async def run_to_its_end(self, source):
    locks = re.findall(r"^UPDATE (\S+lock_\w+`)", source, re.MULTILINE) if "BEGIN TRANSACTION" in source else []
    names = {(self._project_id, lock) for lock in locks}
    if not names.isdisjoint(held):
        raise InvalidQueryError(f"Transaction is aborted due to concurrent update against table {locks[0]}")
    held.update(names)
    running[self._project_id] += 1
    try:
        # Whoever comes at the same time gets to see it.
        await asyncio.sleep(0.02 if names else 0)
        return await run(self, source)
    except ScriptRaise as raised:
        raise InvalidQueryError(raised.message) from raised
    finally:
        held.difference_update(names)
        running[self._project_id] -= 1


ScriptInterpreter.run = run_to_its_end
step = ScriptInterpreter._exec_statement


async def step_in_turn(self, statement):
    """In the service they come in any order. Temporary tables of projects are one here, so these are kept apart."""
    if running[self._project_id] > 1:
        await asyncio.sleep(0.01)
    return await step(self, statement)


ScriptInterpreter._exec_statement = step_in_turn
execute = DuckDBEngine.execute


def execute_each(self, sql, parameters=None):
    head, *more = re.split(r", (?=ADD COLUMN )", sql) if sql.startswith("ALTER TABLE ") else [sql]
    done = execute(self, head, parameters)
    for action in more:
        done = execute(self, f"{head[:head.index(' ADD COLUMN ')]} {action}")
    return done


DuckDBEngine.execute = execute_each

WIRE = {"BIGINT": "INTEGER", "DOUBLE": "FLOAT", "BOOLEAN": "BOOLEAN", "VARCHAR": "STRING",
        "TIMESTAMP WITH TIME ZONE": "TIMESTAMP"}
plain = tables._table_to_rest


def field(name, kind):
    repeated = kind.endswith("[]")
    kind = kind.removesuffix("[]")
    found = {"name": name, "mode": "REPEATED" if repeated else "NULLABLE"}
    decimal = re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", kind)
    if decimal is None:
        return found | {"type": WIRE.get(kind, kind)}
    precision, scale = int(decimal[1]), int(decimal[2])
    numeric = precision - scale <= 29 and scale <= 9
    return found | {"type": "NUMERIC" if numeric else "BIGNUMERIC", "precision": str(precision), "scale": str(scale)}


def table_to_rest(table):
    body = plain(table)
    connection = engines[-1].connection.cursor()
    target = f'"{table.project_id}__{table.dataset_id}"."{table.table_id}"'
    columns = connection.execute(f"DESCRIBE {target}").fetchall()
    body["schema"] = {"fields": [field(name, kind) for name, kind, *_ in columns]}
    body["numRows"] = str(connection.execute(f"SELECT count(*) FROM {target}").fetchone()[0])
    return body


tables._table_to_rest = table_to_rest


def until_orphaned():
    """Whoever started this keeps the other end of stdin open for as long as it lives."""
    sys.stdin.buffer.read()
    os._exit(0)


async def serve():
    server = EmulatorServer(Settings())
    await server.start()
    print(json.dumps({"port": server._rest_port, "grpc_port": server.grpc_port}), file=answer, flush=True)
    threading.Thread(target=until_orphaned, daemon=True).start()
    await asyncio.Event().wait()


asyncio.run(serve())
