"""Asks the fake of the Data API as any program of Python would: through boto3, whose own description of the service judges each answer."""

import json
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.validate import ParamValidator

endpoint, database = sys.argv[1:3]
told = {}


def client(key="judge"):
    return boto3.client(
        "redshift-data",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key="x",
        config=Config(retries={"max_attempts": 1}),
    )


data = client()


def ask(operation, by=data, **request):
    answer = getattr(by, operation)(**request)
    shape = by.meta.service_model.operation_model(by.meta.method_to_api_mapping[operation]).output_shape
    plain = {name: value for name, value in answer.items() if name != "ResponseMetadata"}
    report = ParamValidator().validate(plain, shape)
    if report.has_errors():
        raise SystemExit(f"{operation}: {report.generate_report()}")
    return answer


def refused(operation, by=data, **request):
    try:
        ask(operation, by, **request)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return "taken"


def ended(id):
    return ask("describe_statement", Id=id, WaitTimeSeconds=10)


place = {"Database": database, "WorkgroupName": "test"}
opened = ask("batch_execute_statement", **place, Sqls=["SET timezone TO 'UTC'", "SELECT 1 AS n"], SessionKeepAliveSeconds=60)
told["batch"] = ended(opened["Id"])["Status"]
session = {"SessionId": opened["SessionId"]}


def run(sql, **more):
    answer = ask("execute_statement", **session, Sql=sql, **more)
    return answer["Id"], ended(answer["Id"])


run("BEGIN")
run('CREATE TEMP TABLE "kept" (n bigint, t varchar(20))')
given = [{"name": "n", "value": "9007199254740993"}, {"name": "t", "value": "it's :n"}]
told["inserted"] = run('INSERT INTO "kept" VALUES (:n, :t), (:n, NULL)', Parameters=given)[1]["ResultRows"]
id, described = run('SELECT n, t, t IS NULL AS "none", 1.50 AS d, CAST(0.5 AS double precision) AS f FROM "kept" ORDER BY t')
told["has answer"] = described["HasResultSet"]
answer = ask("get_statement_result", Id=id)
told["rows"] = answer["Records"]
told["types"] = [[column["label"], column["typeName"]] for column in answer["ColumnMetadata"]]
run("ROLLBACK")
told["rolled back"] = run('SELECT 1 FROM "kept"')[1]["Status"]

token = {"ClientToken": "one", **session, "Sql": "SELECT 1 AS n"}
first = ask("execute_statement", **token)["Id"]
ended(first)
told["same token, same statement"] = ask("execute_statement", **token)["Id"] == first
told["same token, another statement"] = refused("execute_statement", **{**token, "Sql": "SELECT 2 AS n"})

wide = " UNION ALL ".join(["SELECT 1 AS n"] * 120)
id, _ = run(wide)
pages = data.get_paginator("get_statement_result").paginate(Id=id)
told["pages"] = [len(page["Records"]) for page in pages]

slow = ask("execute_statement", **session, Sql="SELECT pg_sleep(20)")["Id"]
told["busy"] = refused("execute_statement", **session, Sql="SELECT 1 AS n")
while ask("describe_statement", Id=slow)["Status"] == "SUBMITTED":
    time.sleep(0.02)
ask("cancel_statement", Id=slow)
told["cancelled"] = ended(slow)["Status"]
told["cancelled twice"] = refused("cancel_statement", Id=slow)

told["failed"] = run("SELECT * FROM nowhere")[1]["Error"].split(" [")[0]
told["two statements"] = run("SELECT 1 AS a; SELECT 2 AS b")[1]["Status"]
told["no answer"] = refused("get_statement_result", Id=run("SET timezone TO 'UTC'")[0])
told["unknown"] = refused("describe_statement", Id="00000000-0000-0000-0000-000000000000")
told["too long"] = refused("execute_statement", **session, Sql="SELECT 1 --" + "x" * 102_400)
told["session and database"] = refused("execute_statement", **session, **place, Sql="SELECT 1 AS n")
told["unused parameter"] = refused("execute_statement", **session, Sql="SELECT 1 AS n", Parameters=[{"name": "a", "value": "1"}])
told["41 statements"] = refused("batch_execute_statement", **place, Sqls=["SELECT 1 AS n"] * 41)
told["no right"] = refused("execute_statement", client("forbidden"), **place, Sql="SELECT 1 AS n")
told["nowhere"] = refused("execute_statement", Database=database, WorkgroupName="nowhere", Sql="SELECT 1 AS n")
print(json.dumps(told))
