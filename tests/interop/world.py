"""What the conversation happens in: the processes, the provider's own API, and what an engine knows and does.

Written from the protocol and the provider's published API; it shares no code with either side.
"""

import base64
import contextlib
import json
import os
import pathlib
import re
import socket
import ssl
import subprocess
import tempfile
import urllib.parse
import urllib.request

import grpc

import drivers_pb2 as pb

CLIENT_ID = "mwG3lUMV8KyeMqHe4fJ5Bb3nM1vBvRNa"
REGION = "us-east-iad-1"
checks = 0


def check(holds, what):
    """Prints a line; what does not hold ends the run."""
    global checks
    print(f"{'ok  ' if holds else 'FAIL'} {what}", flush=True)
    if not holds:
        raise SystemExit(1)
    checks += 1


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def http(method, url, body=None, headers=None, context=None):
    request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
    with urllib.request.urlopen(request, timeout=30, context=context) as response:
        return json.load(response)


@contextlib.contextmanager
def process(args, **options):
    child = subprocess.Popen(args, **options)
    try:
        yield child
    finally:
        child.terminate()
        try:
            child.wait(timeout=10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


class Provider:
    """What the provider's own API says, read with the account's credential."""

    def __init__(self, ready):
        self.url, self.control = ready["url"], ready["control"]
        self.refresh_token, self.organization = ready["refreshToken"], ready["organization"]
        form = {"grant_type": "refresh_token", "client_id": CLIENT_ID, "refresh_token": self.refresh_token}
        answer = http("POST", f"{self.url}/oauth/token", urllib.parse.urlencode(form).encode(),
                      {"Content-Type": "application/x-www-form-urlencoded"})
        self.auth = {"Authorization": f"Bearer {answer['id_token']}"}
        organizations = http("GET", f"{self.url}/apis/auth.ngpc.rxt.io/v1/organizations", headers=self.auth)
        mine = [o for o in organizations["organizations"] if o["name"] == self.organization]
        self.namespace = mine[0]["metadata"]["namespace"]

    def path(self, kind):
        return f"{self.url}/apis/ngpc.rxt.io/v1/namespaces/{self.namespace}/{kind}"

    def items(self, kind):
        return http("GET", self.path(kind), headers=self.auth)["items"]

    def pools(self, cluster):
        """Machines asked for, of each pool of a cluster: (spot, on demand)."""
        return tuple(sorted(pool["spec"]["desired"] for pool in self.items(kind)
                            if pool["spec"]["cloudSpace"] == cluster)
                     for kind in ("spotnodepools", "ondemandnodepools"))

    def make(self, kind, type_name, name, spec):
        """Makes an object as the account's owner would in the console."""
        thing = {"apiVersion": "ngpc.rxt.io/v1", "kind": type_name,
                 "metadata": {"name": name, "namespace": self.namespace}, "spec": spec}
        http("POST", self.path(kind), json.dumps(thing).encode(), {**self.auth, "Content-Type": "application/json"})

    def log(self, since=0):
        log = http("GET", f"{self.control}/requests?since={since}")
        return log["requests"] if isinstance(log, dict) else log

    def writes(self, since=0):
        return [e for e in self.log(since) if e["method"] in ("POST", "PUT", "PATCH", "DELETE")
                and "/apis/ngpc.rxt.io/" in e["path"]]

    def last_request(self):
        return max((e["n"] for e in self.log()), default=0)


def options(provider, cluster, **changes):
    """What Rancher sends: camelCase keys, and a zero value for every option nobody set."""
    strings = {
        "name": cluster, "displayName": "demo", "driverName": "kd-x7k2p",
        "rackspaceSpotRefreshToken": provider.refresh_token,
        "rackspaceSpotOrganization": provider.organization,
        "rackspaceSpotRegion": REGION, "kubernetesVersion": "1.32.9", "cni": "calico",
        "spotServerClass": "gp.vs1.medium-iad", "spotBidPrice": "0.02", "additionalSpotPools": "[]",
        "preemptionWebhookUrl": "", "deploymentType": "", "spotNodePoolName": "", "onDemandNodePoolName": "",
        "onDemandServerClass": "", "onDemandPricePerHour": "", "importCloudspaceName": "",
        "nodesReadyPolicy": "all",
    }
    booleans = {"gpuEnabled": False, "spotAutoscalingEnabled": False, "onDemandEnabled": False,
                "importExistingCluster": False}
    integers = {"spotNodeCount": 3, "spotAutoscalingMinNodes": 1, "spotAutoscalingMaxNodes": 10,
                "onDemandNodeCount": 1}
    for key, value in changes.items():
        kind = booleans if isinstance(value, bool) else integers if isinstance(value, int) else strings
        kind[key] = value
    return pb.DriverOptions(bool_options=booleans, string_options=strings, int_options=integers)


def overlay(answer, info):
    """What the engine does before it calls Update: stored metadata goes into the options."""
    for key, value in info.metadata.items():
        if key != "state":
            answer.string_options[key] = value
            continue
        for name, entry in json.loads(value).items():
            if isinstance(entry, bool):
                if name not in answer.bool_options:
                    answer.bool_options[name] = entry
            elif isinstance(entry, (int, float)) and name not in answer.int_options:
                answer.int_options[name] = int(entry)
            elif isinstance(entry, str) and name not in answer.string_options:
                answer.string_options[name] = entry
    return answer


def nodes_of(info):
    """Asks the cluster itself, with nothing but what the driver returned."""
    with tempfile.NamedTemporaryFile() as ca:
        ca.write(base64.b64decode(info.root_ca_certificate))
        ca.flush()
        context = ssl.create_default_context(cafile=ca.name)
        headers = {"Authorization": f"Bearer {info.service_account_token}"}
        return http("GET", f"{info.endpoint.rstrip('/')}/api/v1/nodes", headers=headers, context=context)["items"]


class Engine:
    """The calls in the order an engine makes them. It keeps whatever anybody could get to see, and what is secret."""

    def __init__(self, stub, provider):
        self.stub, self.provider = stub, provider
        self.told, self.secrets = [], {provider.refresh_token}

    def kept(self, info):
        self.secrets |= {secret for secret in (info.service_account_token, info.password, info.client_key) if secret}
        self.told += [info.create_error, info.endpoint, *info.metadata.values()]
        return info

    def create(self, cluster, previous=None, **changes):
        request = pb.CreateRequest(driver_options=options(self.provider, cluster, **changes), cluster_info=previous)
        return self.kept(self.stub.Create(request, timeout=120))

    def post_check(self, info):
        return self.kept(self.stub.PostCheck(info, timeout=300))

    def update(self, cluster, info, **changes):
        info.status = "Running"
        asked = overlay(options(self.provider, cluster, **changes), info)
        info = self.stub.Update(pb.UpdateRequest(cluster_info=info, driver_options=asked), timeout=300)
        return self.post_check(self.kept(info))

    def refused(self, call, request):
        """The error of a call that must fail as drivers fail: with the status Unknown and a text for people."""
        try:
            call(request, timeout=60)
        except grpc.RpcError as error:
            self.told.append(error.details())
            return error.details() if error.code() == grpc.StatusCode.UNKNOWN else None
        return None

    def leaks(self, log):
        """How many secrets show in what was said and logged: those known, and whatever looks like a JSON web token."""
        text = "\n".join([*self.told, log])
        shown = [secret for secret in self.secrets if any(form in text for form in forms(secret))]
        return len(shown) + len(re.findall(r"eyJ[\w-]+\.[\w-]+\.[\w-]+", text))


def forms(secret):
    """As it is, percent-encoded, and the part of it that base64 shows at each alignment."""
    yield secret
    yield urllib.parse.quote(secret, safe="")
    for offset in range(3):
        padded = b"\0" * offset + secret.encode()
        encoded = base64.b64encode(padded).decode().rstrip("=")
        yield encoded[-(-offset * 8 // 6):len(padded) * 8 // 6]


def leave(text, secrets):
    """Puts what was seen beside what other tests leave for the search, as crates/cloud-sim/src/evidence.rs does."""
    if directory := os.environ.get("ROADSTEAD_EVIDENCE"):
        place = pathlib.Path(directory)
        place.mkdir(parents=True, exist_ok=True)
        (place / "interop.output").write_text(text)
        (place / "interop.planted").write_text("\n".join(secrets))
