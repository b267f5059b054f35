"""The whole life of a cluster, as Rancher would ask for it, against the real driver binary and a simulated provider.

Usage: life_of_a_cluster.py DRIVER_BINARY ROADSTEAD_BINARY

The client knows the protocol (drivers.proto) and the provider's public API; it shares no code with either side. Every
check prints a line; the first that fails ends the run with exit status 1.
"""

import base64
import json
import os
import subprocess
import sys
import tempfile
import time
import urllib.error

import grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

import drivers_pb2 as pb
import drivers_pb2_grpc
import world
from world import REGION, Engine, Provider, check, free_port, nodes_of, process


def describe(driver, channel):
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
    offers = driver.GetK8sCapabilities(pb.DriverOptions(), timeout=10)
    check(offers.L4LoadBalancer.Enabled and set(offers.L4LoadBalancer.ProtocolsSupported) == {"TCP", "UDP"},
          f"services get load balancers, by {offers.L4LoadBalancer.Provider}, for TCP and UDP")
    check(offers.NodePoolScalingSupported and not offers.IngressControllers, "pools scale; no ingress is promised")


def live(engine, provider):
    """Refused, created, checked, scaled, upgraded, removed."""
    driver, cluster = engine.stub, "c-w467n"
    before = provider.last_request()
    answer = engine.create(cluster, spotBidPrice="0.05")
    text = answer.create_error
    check("0.06" in text, f"a bid that is off the ladder is refused with the next one: {text}")
    check(not provider.writes(before), "nothing was bought for it")

    # The engine hands back what a failed attempt left.
    info = engine.create(cluster, answer)
    check(info.create_error == "", f"Create succeeds {info.create_error}")
    check([c["metadata"]["name"] for c in provider.items("cloudspaces")] == [cluster], "one cloudspace is bought")
    check(provider.pools(cluster) == ([3], []), "with one pool of three")

    info = engine.post_check(info)
    check(info.endpoint.startswith("https://"), "PostCheck returns an https endpoint")
    check(len(nodes_of(info)) == 3, "its CA and token open the cluster, which has three nodes")
    check(info.node_count == 3, "and the count says so")
    before = provider.last_request()
    again = engine.post_check(info)
    check(again.SerializeToString(deterministic=True) == info.SerializeToString(deterministic=True),
          "PostCheck again gives the same bytes")
    check(not provider.writes(before), "and writes nothing")

    info = engine.update(cluster, info, spotNodeCount=5)
    check((info.node_count, len(nodes_of(info)), info.status) == (5, 5, "Running"), "an update scales it to five")
    check(provider.pools(cluster) == ([5], []), "in the same pool")

    info = engine.update(cluster, info, spotNodeCount=5, kubernetesVersion="1.33.0")
    version = driver.GetVersion(info, timeout=60).version
    check(version.lstrip("v") == "1.33.0", f"an update upgrades it ({version})")
    told = engine.refused(driver.SetVersion,
                          pb.SetVersionRequest(info=info, version=pb.KubernetesVersion(version="1.30.10")))
    check(told, f"a downgrade is refused: {told}")

    driver.SetNodeCount(pb.SetNodeCountRequest(info=info, count=pb.NodeCount(count=2)), timeout=120)
    info = engine.post_check(info)
    check(driver.GetNodeCount(info, timeout=60).count == 2, "SetNodeCount scales it to two")

    driver.RemoveLegacyServiceAccount(info, timeout=60)
    check(True, "RemoveLegacyServiceAccount succeeds")
    backups(engine, info, cluster)

    driver.Remove(info, timeout=300)
    check(not provider.items("cloudspaces") and not provider.items("spotnodepools"), "Remove leaves nothing")
    driver.Remove(info, timeout=300)
    check(True, "Remove again succeeds")


def backups(engine, info, cluster):
    """The provider runs etcd itself, so the calls about it fail with a reason and change nothing."""
    driver, provider, before = engine.stub, engine.provider, engine.provider.last_request()
    asked = {"info": info, "driver_options": world.options(provider, cluster), "SnapshotName": "nightly"}
    for name, call, request in [
        ("ETCDSave", driver.ETCDSave, pb.SaveETCDSnapshotRequest),
        ("ETCDRestore", driver.ETCDRestore, pb.RestoreETCDSnapshotRequest),
        ("ETCDRemoveSnapshot", driver.ETCDRemoveSnapshot, pb.RemoveETCDSnapshotRequest),
    ]:
        told = engine.refused(call, request(**asked))
        check(told and told.startswith("ETCD ") and "Rackspace Spot" in told, f"{name} is refused: {told}")
    check(provider.last_request() == before, "without a word to the provider")


def lose_the_record(engine, provider):
    """The engine forgets what it had just been told, and asks for the same cluster again."""
    cluster = "c-lost1"
    first = engine.create(cluster, spotNodeCount=1)
    check(first.create_error == "", f"a second cluster is made {first.create_error}")
    uid = provider.items("cloudspaces")[0]["metadata"]["uid"]
    before = provider.last_request()
    info = engine.create(cluster, spotNodeCount=1)
    check(info.create_error == "", f"Create of the same name without its record succeeds {info.create_error}")
    check(not provider.writes(before), "and buys nothing")
    check([c["metadata"]["uid"] for c in provider.items("cloudspaces")] == [uid], "it is the same cloudspace")
    info = engine.post_check(info)
    check(len(nodes_of(info)) == 1, "and it works")
    before = provider.last_request()
    info = engine.create(cluster, spotNodeCount=1)
    check(info.create_error == "" and not provider.writes(before), "lost again when it runs: again nothing is bought")
    engine.stub.Remove(info, timeout=300)
    check(not provider.items("cloudspaces"), "the record made anew is good enough to remove it")


def take_over(engine, provider):
    """A cloudspace that somebody made by hand: not taken by accident, imported on request, never deleted."""
    name, cluster = "byhand", "c-imp01"
    provider.make("cloudspaces", "CloudSpace", name, {
        "deploymentType": "gen2", "cloud": "default", "region": REGION, "cni": "calico",
        "kubernetesVersion": "1.32.9", "HAControlPlane": False})
    provider.make("spotnodepools", "SpotNodePool", "5b0c2f0e-8a0d-4d1e-9a3e-0f7f7c1f2a11", {
        "serverClass": "gp.vs1.medium-iad", "desired": 2, "bidPrice": "0.04", "cloudSpace": name})
    before = provider.last_request()
    text = engine.create(name).create_error
    check("import" in text, f"somebody else's cloudspace of that name is refused: {text}")
    check(not provider.writes(before), "and left alone")

    importing = {"importExistingCluster": True, "importCloudspaceName": name, "rackspaceSpotRegion": ""}
    told = engine.create(cluster, **{**importing, "importCloudspaceName": "nowhere"}).create_error
    check("not found" in told, f"what is not there cannot be imported: {told}")
    info = engine.create(cluster, **importing)
    check(info.create_error == "", f"it is imported {info.create_error}")
    info = engine.post_check(info)
    check((info.node_count, len(nodes_of(info))) == (2, 2), "and works, with the two nodes it has")
    check(not provider.writes(before), "nothing of it was changed")
    info = engine.update(cluster, info, spotNodeCount=4, **importing)
    check(provider.pools(name) == ([4], []) and len(nodes_of(info)) == 4, "its pool can be scaled")
    before = provider.last_request()
    engine.stub.Remove(info, timeout=300)
    check([c["metadata"]["name"] for c in provider.items("cloudspaces")] == [name], "Remove lets go of it")
    check(not provider.writes(before), "and deletes nothing")


def comes_to(provider, cluster, info, pools):
    """Whether the cluster comes to these pools and a node for each machine: the provider takes away in its own time."""
    ends = time.monotonic() + 30
    def reached():
        return provider.pools(cluster) == pools and len(nodes_of(info)) == sum(map(sum, pools))
    while not reached() and time.monotonic() < ends:
        time.sleep(0.2)
    return reached()


def on_demand(engine, provider):
    """Machines at a fixed price beside those bid for."""
    cluster = "c-fixed"
    wanted = {"spotNodeCount": 1, "onDemandEnabled": True, "onDemandServerClass": "gp.vs1.medium-iad"}
    info = engine.post_check(engine.create(cluster, onDemandNodeCount=2, **wanted))
    check(info.create_error == "" and provider.pools(cluster) == ([1], [2]), "an on-demand pool is bought, too")
    check(len(nodes_of(info)) == 3, "one node at auction, two at a fixed price")
    info = engine.update(cluster, info, onDemandNodeCount=1, **wanted)
    check(comes_to(provider, cluster, info, ([1], [1])), "it scales by itself")
    info = engine.update(cluster, info, spotNodeCount=1, onDemandEnabled=False)
    check(comes_to(provider, cluster, info, ([1], [])), "and goes when it is not wanted any more")
    engine.stub.Remove(info, timeout=300)
    check(provider.pools(cluster) == ([], []), "Remove leaves nothing")


def main():
    driver_binary, roadstead = sys.argv[1:3]
    log = tempfile.TemporaryFile()
    with process([roadstead, "sim", "rackspace-spot", "--speed", "60", "--seed", "7"],
                 stdout=subprocess.PIPE, stderr=log) as sim:
        provider = Provider(json.loads(sim.stdout.readline()))
        port = free_port()
        # Everything the driver can log is logged, so that a secret in it would be found.
        environment = dict(os.environ, RXTSPOT_BASE_URL=provider.url, RXTSPOT_OAUTH_URL=provider.url, RUST_LOG="trace")
        with process([driver_binary, str(port)], env=environment, stdout=log, stderr=log):
            channel = grpc.insecure_channel(f"127.0.0.1:{port}")
            grpc.channel_ready_future(channel).result(timeout=30)
            engine = Engine(drivers_pb2_grpc.DriverStub(channel), provider)
            start = time.monotonic()
            try:
                describe(engine.stub, channel)
                for act in (live, lose_the_record, take_over, on_demand):
                    act(engine, provider)
            except BaseException as error:
                if isinstance(error, urllib.error.HTTPError):
                    sys.stderr.write(error.read().decode(errors="replace") + "\n")
                log.seek(0)
                sys.stderr.write("".join(log.read().decode(errors="replace").splitlines(keepends=True)[-40:]))
                raise
            log.seek(0)
            logged = log.read().decode(errors="replace")
            check("creating cloudspace" in logged and len(engine.secrets) > 4, "there is something to find secrets in")
            planted = base64.b64encode(f"x{provider.refresh_token}".encode()).decode()
            check(engine.leaks(planted) == 1, "and the search finds what is planted")
            check(engine.leaks(logged) == 0, f"none of {len(engine.secrets)} secrets shows in any log, error or state")
            world.leave("\n".join([*engine.told, logged]), engine.secrets)
            print(f"{world.checks} passed, 0 failed")
            print(f"the life of a cluster took {time.monotonic() - start:.1f} s", file=sys.stderr)


main()
