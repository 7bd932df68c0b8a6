"""Runs simple-salesforce, unmodified, against the sandbox and prints what it saw as one line of JSON.

The library only speaks https to *.salesforce.com; a requests adapter (its own extension point) carries those requests
to the sandbox's address instead.
"""

import csv
import io
import json
import sys

import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import SalesforceMalformedRequest, SalesforceResourceNotFound


class ToSandbox(HTTPAdapter):
    def __init__(self, base):
        super().__init__()
        self.base = base

    def send(self, request, **kwargs):
        host_and_path = request.url.split("://", 1)[1]
        request.url = self.base + "/" + host_and_path.split("/", 1)[1]
        return super().send(request, **kwargs)


def session_to(base):
    session = requests.Session()
    session.mount("https://", ToSandbox(base))
    return session


def main():
    options = json.load(sys.stdin)
    login = {"consumer_key": options["clientId"], "consumer_secret": options["clientSecret"], "version": "60.0"}
    by_password = Salesforce(username="u", password="p", session=session_to(options["url"]), **login)
    sf = Salesforce(domain="acme.my", session=session_to(options["url"]), **login)
    seen = {"limitsByPassword": by_password.limits()["DailyApiRequests"]["Max"]}
    describe = sf.Contact.describe()
    seen["fields"] = len(describe["fields"])
    seen["objects"] = len(sf.describe()["sobjects"])
    seen["contacts"] = len({row["Id"] for row in sf.query_all_iter("SELECT Id, Name FROM Contact")})
    seen["contactsWithDeleted"] = sf.query_all("SELECT Id FROM Contact", include_deleted=True)["totalSize"]
    made = sf.Contact.create({"LastName": "Python", "External_Id__c": "py-1"})
    sf.Contact.update(made["id"], {"Title": "Snake"})
    seen["title"] = sf.Contact.get(made["id"])["Title"]
    seen["byExternalId"] = sf.Contact.get_by_custom_id("External_Id__c", "py-1")["Id"] == made["id"]
    seen["upsertStatus"] = sf.Contact.upsert("External_Id__c/py-1", {"Title": "Charmer"})
    seen["deleteStatus"] = sf.Contact.delete(made["id"])
    pages = [page for page in sf.bulk2.Contact.query("SELECT Id, LastName, Description FROM Contact", max_records=700)]
    rows = [row for page in pages for row in csv.DictReader(io.StringIO(page))]
    seen["bulkPages"] = len(pages)
    seen["bulkRows"] = len({row["Id"] for row in rows})
    seen["usage"] = sf.api_usage["api-usage"].total
    for name, call in {
        "malformed": lambda: sf.query("SELECT Id FRM Contact"),
        "missing": lambda: sf.Contact.get("003000000000000AAA"),
    }.items():
        try:
            call()
            seen[name] = "accepted"
        except (SalesforceMalformedRequest, SalesforceResourceNotFound) as error:
            seen[name] = error.content[0]["errorCode"]
    print(json.dumps(seen))


main()
