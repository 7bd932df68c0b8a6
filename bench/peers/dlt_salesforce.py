"""Loads Contacts with dlt as its Salesforce source does it: simple-salesforce's query_all_iter, then Parquet into DuckDB.

simple-salesforce speaks https to *.salesforce.com only; a requests adapter (its own extension point) carries those
requests to the local server.
"""

import json
import sys
import time

import dlt
import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce


class ToServer(HTTPAdapter):
    def __init__(self, base):
        super().__init__()
        self.base = base

    def send(self, request, **kwargs):
        host_and_path = request.url.split("://", 1)[1]
        request.url = self.base + "/" + host_and_path.split("/", 1)[1]
        return super().send(request, **kwargs)


def main():
    options = json.loads(sys.argv[1])
    session = requests.Session()
    session.mount("https://", ToServer(options["url"]))
    started = time.monotonic()
    client = Salesforce(
        domain="bench.my",
        session=session,
        consumer_key=options["clientId"],
        consumer_secret=options["clientSecret"],
        version="60.0",
    )

    @dlt.resource(name="contact", write_disposition="replace")
    def contact():
        for record in client.query_all_iter(options["soql"]):
            record.pop("attributes")
            yield record

    pipeline = dlt.pipeline(
        pipeline_name="bench",
        pipelines_dir=options["folder"] + "/dlt",
        destination=dlt.destinations.duckdb(options["file"]),
        dataset_name="bench",
    )
    pipeline.run(contact(), loader_file_format="parquet")
    print(json.dumps({"seconds": time.monotonic() - started}))


main()
