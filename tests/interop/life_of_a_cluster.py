"""The whole life of a cluster, as Rancher would ask for it, against the real driver binary and a simulated provider.

Usage: life_of_a_cluster.py DRIVER_BINARY ROADSTEAD_BINARY

The client knows the protocol (drivers.proto) and the provider's public API; it shares no code with either side. Every
check prints a line; the first that fails ends the run with exit status 1.
"""

import base64
import contextlib
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request

import grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

import drivers_pb2 as pb
import drivers_pb2_grpc

CLIENT_ID = "mwG3lUMV8KyeMqHe4fJ5Bb3nM1vBvRNa"
CLUSTER = "c-w467n"
checks = 0


def check(holds, what):
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

    def items(self, kind):
        path = f"{self.url}/apis/ngpc.rxt.io/v1/namespaces/{self.namespace}/{kind}"
        return http("GET", path, headers=self.auth)["items"]

    def writes(self, since=0):
        log = http("GET", f"{self.control}/requests?since={since}")
        entries = log["requests"] if isinstance(log, dict) else log
        return [e for e in entries if e["method"] in ("POST", "PUT", "PATCH", "DELETE")
                and "/apis/ngpc.rxt.io/" in e["path"]]

    def last_request(self):
        log = http("GET", f"{self.control}/requests")
        entries = log["requests"] if isinstance(log, dict) else log
        return max((e["n"] for e in entries), default=0)


def options(provider, **changes):
    """What Rancher sends: camelCase keys, and a zero value for every option nobody set."""
    strings = {
        "name": CLUSTER, "displayName": "demo", "driverName": "kd-x7k2p",
        "rackspaceSpotRefreshToken": provider.refresh_token,
        "rackspaceSpotOrganization": provider.organization,
        "rackspaceSpotRegion": "us-east-iad-1", "kubernetesVersion": "1.32.9", "cni": "calico",
        "spotServerClass": "gp.vs1.medium-iad", "spotBidPrice": "0.02", "additionalSpotPools": "[]",
        "preemptionWebhookUrl": "", "deploymentType": "", "spotNodePoolName": "", "onDemandNodePoolName": "",
        "onDemandServerClass": "", "onDemandPricePerHour": "", "importCloudspaceName": "",
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
                answer.bool_options.setdefault(name, entry) if name not in answer.bool_options else None
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


def refused(call, request):
    try:
        call(request, timeout=60)
    except grpc.RpcError as error:
        return error
    return None


def live(driver, provider, channel):
    services = ProtoReflectionDescriptorDatabase(channel).get_services()
    check("types.Driver" in services, "the server describes itself by reflection")

    flags = driver.GetDriverCreateOptions(pb.Empty(), timeout=10).options
    check(flags["rackspace-spot-refresh-token"].password, "the refresh token is declared a password")
    check(not flags["rackspace-spot-refresh-token"].default.defaultString, "no credential is handed out as a default")
    kinds = {"string", "bool", "boolPtr", "int", "intPtr", "stringSlice"}
    check(all(flag.type in kinds for flag in flags.values()), "every flag has a type that Rancher knows")
    check(len(driver.GetDriverUpdateOptions(pb.Empty(), timeout=10).options) > 0, "there are update options")
    check(dict(driver.GetCapabilities(pb.Empty()).capabilities) == {0: True, 1: True, 2: True, 3: True},
          "version and size can be read and set")

    before = provider.last_request()
    answer = driver.Create(pb.CreateRequest(driver_options=options(provider, spotBidPrice="0.05")), timeout=60)
    text = answer.create_error
    check("0.06" in text, f"a bid that is off the ladder is refused with the next one: {text}")
    check(not provider.writes(before), "nothing was bought for it")

    # The engine hands back what a failed attempt left.
    info = driver.Create(pb.CreateRequest(driver_options=options(provider, nodesReadyPolicy="all"), cluster_info=answer),
                         timeout=120)
    check(info.create_error == "", f"Create succeeds {info.create_error}")
    check(provider.refresh_token not in info.metadata["state"], "the state carries no credential")
    check([c["metadata"]["name"] for c in provider.items("cloudspaces")] == [CLUSTER], "one cloudspace is bought")
    pools = provider.items("spotnodepools")
    check([p["spec"]["desired"] for p in pools] == [3], "with one pool of three")

    info = driver.PostCheck(info, timeout=300)
    check(info.endpoint.startswith("https://"), "PostCheck returns an https endpoint")
    check(len(nodes_of(info)) == 3, "its CA and token open the cluster, which has three nodes")
    check(info.node_count == 3, "and the count says so")
    before = provider.last_request()
    again = driver.PostCheck(info, timeout=300)
    check(again.SerializeToString(deterministic=True) == info.SerializeToString(deterministic=True),
          "PostCheck again gives the same bytes")
    check(not provider.writes(before), "and writes nothing")

    info.status = "Running"
    info = driver.Update(pb.UpdateRequest(
        cluster_info=info, driver_options=overlay(options(provider, nodesReadyPolicy="all", spotNodeCount=5), info)), timeout=300)
    info = driver.PostCheck(info, timeout=300)
    check((info.node_count, len(nodes_of(info)), info.status) == (5, 5, "Running"), "an update scales it to five")
    check(len(provider.items("spotnodepools")) == 1, "in the same pool")

    info = driver.Update(pb.UpdateRequest(cluster_info=info, driver_options=overlay(
        options(provider, nodesReadyPolicy="all", spotNodeCount=5, kubernetesVersion="1.33.0"), info)), timeout=300)
    info = driver.PostCheck(info, timeout=300)
    version = driver.GetVersion(info, timeout=60).version
    check(version.lstrip("v") == "1.33.0", f"an update upgrades it ({version})")
    error = refused(driver.SetVersion, pb.SetVersionRequest(info=info, version=pb.KubernetesVersion(version="1.30.10")))
    check(error is not None and error.code() == grpc.StatusCode.UNKNOWN, f"a downgrade is refused: {error.details()}")

    driver.SetNodeCount(pb.SetNodeCountRequest(info=info, count=pb.NodeCount(count=2)), timeout=120)
    info = driver.PostCheck(info, timeout=300)
    check(driver.GetNodeCount(info, timeout=60).count == 2, "SetNodeCount scales it to two")

    driver.RemoveLegacyServiceAccount(info, timeout=60)
    check(True, "RemoveLegacyServiceAccount succeeds")
    error = refused(driver.ETCDSave, pb.SaveETCDSnapshotRequest(info=info, SnapshotName="x"))
    check(error is not None and error.code() == grpc.StatusCode.UNKNOWN, f"ETCDSave: {error.details()}")

    driver.Remove(info, timeout=300)
    check(not provider.items("cloudspaces") and not provider.items("spotnodepools"), "Remove leaves nothing")
    driver.Remove(info, timeout=300)
    check(True, "Remove again succeeds")


def main():
    driver_binary, roadstead = sys.argv[1:3]
    log = tempfile.TemporaryFile()
    with process([roadstead, "sim", "rackspace-spot", "--speed", "60", "--seed", "7"],
                 stdout=subprocess.PIPE, stderr=log) as sim:
        provider = Provider(json.loads(sim.stdout.readline()))
        port = free_port()
        environment = dict(os.environ, RXTSPOT_BASE_URL=provider.url, RXTSPOT_OAUTH_URL=provider.url)
        with process([driver_binary, str(port)], env=environment, stdout=log, stderr=log):
            channel = grpc.insecure_channel(f"127.0.0.1:{port}")
            grpc.channel_ready_future(channel).result(timeout=30)
            start = time.monotonic()
            try:
                live(drivers_pb2_grpc.DriverStub(channel), provider, channel)
            except BaseException:
                log.seek(0)
                sys.stderr.write(log.read().decode(errors="replace"))
                raise
            log.seek(0)
            check(provider.refresh_token.encode() not in log.read(), "no process printed the refresh token")
            print(f"{checks} passed, 0 failed")
            print(f"the life of a cluster took {time.monotonic() - start:.1f} s", file=sys.stderr)


main()
