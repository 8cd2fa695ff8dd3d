"""paho-mqtt as a device, an operator and an integrator.

Prints one line for each check; ends with 1 if one failed.
"""

import argparse
import json
import os
import queue
import sys
import threading
import time

import paho.mqtt.client as mqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

PATIENCE = 60
failed = []


def check(what, holds, detail=""):
    print(("ok    " if holds else "WRONG ") + what + ("" if holds else f"  ({detail})"), flush=True)
    if not holds:
        failed.append(what)


class Somebody:
    """A connected principal."""

    def __init__(self, kind, name, home, suffix="", keepalive=60, kept=None, will=None):
        self.me = f"muster/v1/{kind}/{name}"
        self.v5 = options.version == "5"
        protocol = mqtt.MQTTv5 if self.v5 else mqtt.MQTTv311
        clean = {} if self.v5 else {"clean_session": kept is None}
        version = mqtt.CallbackAPIVersion.VERSION2
        self.client = mqtt.Client(version, client_id=name + suffix, protocol=protocol, **clean)
        path = os.path.join(options.folder, home)
        self.client.tls_set(
            ca_certs=f"{path}/roots.pem", certfile=f"{path}/certificate.pem", keyfile=f"{path}/key.pem"
        )
        self.connected, self.gone = queue.Queue(), queue.Queue()
        self.subscribed, self.messages = queue.Queue(), queue.Queue()
        self.acknowledged, self.arrived = {}, threading.Condition()
        self.client.on_connect = lambda c, u, flags, reason, p: self.connected.put((flags, reason, p))
        self.client.on_disconnect = lambda c, u, flags, reason, p: self.gone.put(reason)
        self.client.on_subscribe = lambda c, u, mid, reasons, p: self.subscribed.put(reasons)
        self.client.on_message = lambda c, u, message: self.messages.put(message)
        self.client.on_publish = self.on_publish
        if will:
            topic, payload, delay = will
            given = Properties(PacketTypes.WILLMESSAGE)
            given.WillDelayInterval = delay
            self.client.will_set(topic, json.dumps(payload), qos=1, properties=given)
        more = {}
        if self.v5 and kept is not None:
            more = {"clean_start": False, "properties": Properties(PacketTypes.CONNECT)}
            more["properties"].SessionExpiryInterval = kept
        self.client.connect("127.0.0.1", options.port, keepalive=keepalive, **more)
        self.client.loop_start()
        flags, self.welcome, self.server = self.connected.get(timeout=PATIENCE)
        self.was_kept = flags.session_present

    def on_publish(self, client, data, mid, reason, properties):
        with self.arrived:
            self.acknowledged[mid] = (reason, properties)
            self.arrived.notify_all()

    def subscribe(self, topic, qos=1):
        """The reason of the SUBACK."""
        self.client.subscribe(topic, qos=qos)
        return self.subscribed.get(timeout=PATIENCE)[0]

    def publish(self, topic, payload, qos=1, **properties):
        """Publishes; the reason and the properties of the PUBACK, or of the PUBCOMP."""
        given = None
        if properties:
            given = Properties(PacketTypes.PUBLISH)
            for key, value in properties.items():
                setattr(given, key, value)
        if not isinstance(payload, (str, bytes)):
            payload = json.dumps(payload)
        mid = self.client.publish(topic, payload, qos=qos, properties=given).mid
        with self.arrived:
            self.arrived.wait_for(lambda: mid in self.acknowledged, timeout=PATIENCE)
            return self.acknowledged.get(mid, (None, None))

    def up(self, verb, payload, **properties):
        return self.publish(f"{self.me}/up/{verb}", payload, **properties)

    def next(self, end):
        """The next message whose topic ends like this, and its payload."""
        until = time.monotonic() + PATIENCE
        while True:
            message = self.messages.get(timeout=max(0.01, until - time.monotonic()))
            if message.topic.endswith(end):
                return message, json.loads(message.payload)

    def leave(self):
        """A clean disconnect; the reason that paho gives."""
        self.client.disconnect()
        reason = self.gone.get(timeout=PATIENCE)
        self.client.loop_stop()
        return reason


def refusal_of(who, reason):
    """The code of a publish that was refused: in the PUBACK, or told beside it."""
    if who.v5:
        return {"Not authorized": "denied", "Topic name invalid": "unknown-verb"}.get(str(reason), str(reason))
    return who.next("down/front-door/publish/rejected")[1]["code"]


def device():
    name = options.device
    who = Somebody("devices", name, f"identities/{name}", keepalive=2)
    check("a device connects", not who.welcome.is_failure, who.welcome)
    check("it subscribes to its own down/", not who.subscribe(who.me + "/down/#").is_failure)
    for other in ["muster/v1/devices/victim/down/#", "muster/v1/events/#", "#"]:
        check(f"it may not subscribe to {other}", who.subscribe(other).is_failure)

    report = {"request_id": "r-1", "model": "p200", "firmware_version": "1.0.0"}
    reason, _ = who.up("registry/report", report)
    check("a report is acknowledged", reason is not None and not reason.is_failure, reason)
    _, reply = who.next("down/registry/report/accepted")
    check("its reply carries the request's name", reply["request_id"] == "r-1", reply)

    reason, _ = who.up("monitoring/heartbeat", {"uptime_ms": "60000", "metrics": {"temperature": 41.5}})
    check("a heartbeat is acknowledged", reason is not None and not reason.is_failure, reason)

    reason, _ = who.publish("muster/v1/devices/victim/up/registry/report", {"model": "stolen"})
    check("another device's topic is refused", refusal_of(who, reason) == "denied")
    reason, _ = who.up("registry/nonsense", {})
    check("an unknown verb is refused", refusal_of(who, reason) == "unknown-verb")

    reason, properties = who.up("registry/report", '{"nonsense":1}')
    _, reply = who.next("down/registry/report/rejected")
    check("JSON with an unknown field is malformed", reply["code"] == "malformed", reply)
    if who.v5:
        check("the PUBACK says so, too", reason.value == 0x99, reason)
        text = getattr(properties, "ReasonString", "")
        check("with a sentence", "nonsense" in text, text)
        device_5(who)

    # Twice the keep-alive and more, so that it lives on pings alone.
    time.sleep(5)
    check("keep-alive holds the connection", who.client.is_connected() and who.gone.empty())
    reason, _ = who.up("registry/standing", {"request_id": "s-2"})
    _, reply = who.next("down/registry/standing/accepted")
    check("it is answered after the silence", reply["request_id"] == "s-2", reply)
    check("it disconnects cleanly", not who.leave().is_failure)


def device_5(who):
    reply_to = who.me + "/down/mine"
    reason, _ = who.up("registry/standing", {}, CorrelationData=b"c-1", ResponseTopic=reply_to)
    message, reply = who.next("/down/mine")
    check("the reply comes to the response topic", reply["stage"] == "STAGE_ACTIVE", reply)
    correlation = getattr(message.properties, "CorrelationData", None)
    check("with the correlation data", correlation == b"c-1", correlation)
    content_type = getattr(message.properties, "ContentType", None)
    check("with its content type", content_type == "application/json", content_type)
    foreign = "muster/v1/devices/victim/down/mine"
    reason, _ = who.up("registry/standing", {}, CorrelationData=b"c-2", ResponseTopic=foreign)
    check("a response topic of another is refused", reason.is_failure, reason)
    reason, _ = who.up("registry/report", "{}", ContentType="application/x-protobuf")
    check("a wrong content type is refused", reason.value == 0x99, reason)
    maximum = getattr(who.server, "ReceiveMaximum", None)
    check("the CONNACK bounds what may be under way", maximum is not None and maximum > 0, maximum)


def kept():
    """QoS 2, and a session that is kept."""
    name = options.device
    home = f"identities/{name}"
    who = Somebody("devices", name, home, ":kept", kept=60)
    check("a session begins", not who.was_kept)
    reason = who.subscribe(who.me + "/down/#", qos=2)
    check("QoS 2 is granted", reason.value == 2, reason)
    for n in range(3):
        request = {"request_id": f"k-{n}"}
        reason, _ = who.up("registry/standing", request, qos=2)
        check("a request at QoS 2 is complete", reason is not None and not reason.is_failure, reason)
        message, reply = who.next("down/registry/standing/accepted")
        check("its reply comes at QoS 2", (message.qos, reply["request_id"]) == (2, f"k-{n}"), reply)
    who.leave()
    other = Somebody("devices", name, home, ":other")
    for n in range(3):
        other.up("registry/standing", {"request_id": f"away-{n}"})
    other.leave()
    who = Somebody("devices", name, home, ":kept", kept=60)
    check("the session goes on", who.was_kept)
    for n in range(3):
        message, reply = who.next("down/registry/standing/accepted")
        check("what came meanwhile is there, in order", reply["request_id"] == f"away-{n}", reply)
    who.leave()
    who = Somebody("devices", name, home, ":kept")
    check("a clean start leaves nothing of it", not who.was_kept)
    time.sleep(1)
    check("no message, no subscription", who.messages.empty())
    who.leave()
    if who.v5:
        delayed_will(name, home)


def delayed_will(name, home):
    topic = f"muster/v1/devices/{name}/up/registry/report"
    last_words = {"request_id": "last", "model": "p200", "firmware_version": "0.0.9"}
    # Whoever is to come back in time has some, on a busy machine too.
    for returns, delay in ((True, 8), (False, 2)):
        who = Somebody("devices", name, home, ":will", kept=60, will=(topic, last_words, delay))
        who.client.loop_stop()
        who.client.socket().close()
        if returns:
            Somebody("devices", name, home, ":will", kept=60).leave()
        admin = Somebody("operators", "admin", "people/admin", ":will")
        admin.subscribe(admin.me + "/down/#")
        until = time.monotonic() + (delay + 1 if returns else PATIENCE)
        said = False
        while not said and time.monotonic() < until:
            time.sleep(0.5)
            admin.up("registry/show", {"device_id": name})
            _, reply = admin.next("down/registry/show/accepted")
            said = reply["device"]["firmware_version"] == "0.0.9"
        what = "whoever comes back in time was not lost" if returns else "a will is spoken when its time has come"
        check(what, said != returns, reply)
        admin.leave()


def operator():
    who = Somebody("operators", "admin", "people/admin", ":paho")
    check("an operator connects", not who.welcome.is_failure, who.welcome)
    who.subscribe(who.me + "/down/#")
    name = f"new-{options.version}"
    register = {"request_id": name, "device_id": name, "model": "p200"}
    answers = []
    for _ in range(2):
        reason, _ = who.up("registry/register", register)
        answers.append(who.next("down/registry/register/accepted")[1])
    check("a device is registered", answers[0]["id"] == name, answers)
    check("the same request gets the same answer", answers[0] == answers[1], answers)
    reason, _ = who.up("registry/register", dict(register, model="p300"))
    _, reply = who.next("down/registry/register/rejected")
    check("another one under its name is a conflict", reply["code"] == "conflict", reply)
    if who.v5:
        check("by its reason code, too", reason.value == 0x83, reason)
        by_correlation(who)
    who.up("registry/register", {"device_id": "nameless"})
    _, reply = who.next("down/registry/register/rejected")
    check("a change without a name is refused", (reply["code"], reply["field"]) == ("invalid", "request_id"), reply)
    who.up("registry/show", {"device_id": name})
    _, reply = who.next("down/registry/show/accepted")
    check("the device is shown", reply["device"]["stage"] == "STAGE_REGISTERED", reply)
    who.up("registry/list", {"prefix": "new-"})
    _, reply = who.next("down/registry/list/accepted")
    check("and listed", name in [d["device_id"] for d in reply["devices"]], reply)
    who.up("registry/show", {"device_id": "nobody"})
    _, reply = who.next("down/registry/show/rejected")
    check("what is not there is not found", reply["code"] == "not-found", reply)
    check("it disconnects cleanly", not who.leave().is_failure)

    viewer = Somebody("operators", "vera", "identities/vera")
    viewer.subscribe(viewer.me + "/down/#")
    reason, _ = viewer.up("registry/register", dict(register, request_id="v-1", device_id="never"))
    check("a viewer changes nothing", refusal_of(viewer, reason) == "denied")
    viewer.leave()


def by_correlation(who):
    name = "by-correlation"
    answers = []
    for _ in range(2):
        who.up("registry/register", {"device_id": name}, CorrelationData=b"k-1")
        message, answer = who.next("down/registry/register/accepted")
        answers.append((answer, getattr(message.properties, "CorrelationData", None)))
    check("correlation data names a request as well", answers[0] == answers[1], answers)
    check("and comes back", answers[0][1] == b"k-1", answers)


def integrator():
    who = Somebody("integrators", "erp", "identities/erp")
    check("an integrator connects", not who.welcome.is_failure, who.welcome)
    check("it subscribes as granted", not who.subscribe("muster/v1/events/registry/#").is_failure)
    who.subscribe(who.me + "/down/#")
    for other in ["muster/v1/events/#", "muster/v1/events/provisioning/#"]:
        check(f"it may not subscribe to {other}", who.subscribe(other).is_failure)

    admin = Somebody("operators", "admin", "people/admin", ":other")
    name = f"live-{options.version}"
    admin.up("registry/register", {"request_id": name, "device_id": name})
    _, live = who.next(f"devices/{name}/registered")
    check("a live event arrives", live["type"] == "muster.registry.device.registered.v1", live)
    admin.leave()

    events, after, pages = [], 0, 0
    while True:
        who.up("registry/replay", {"after": str(after), "limit": 3})
        while True:
            message = who.messages.get(timeout=PATIENCE)
            body = json.loads(message.payload)
            if message.topic.endswith("down/registry/replay/event"):
                events.append(body)
            elif message.topic.endswith("down/registry/replay/accepted"):
                break
        after, pages = int(body["last"]), pages + 1
        if body.get("complete"):
            break
    numbers = [int(event["sequence"]) for event in events]
    check("replay has no gap", numbers == list(range(1, len(numbers) + 1)), numbers)
    check("it came in pages", pages > 1, pages)
    check("it reaches the live event", live in events, numbers)
    check("it is one history", {event["epoch"] for event in events} == {body["epoch"]})
    ids = [event["id"] for event in events]
    check("ids are unique", len(set(ids)) == len(ids))
    subjects = {}
    for event in events:
        subjects.setdefault(event["subject"], []).append(int(event["subjectsequence"]))
    whole = all(seen == list(range(1, len(seen) + 1)) for seen in subjects.values())
    check("no gap within a subject", whole, subjects)
    check("it disconnects cleanly", not who.leave().is_failure)


parser = argparse.ArgumentParser()
parser.add_argument("--version", choices=["3", "5"], required=True)
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--folder", required=True, help="the installation")
parser.add_argument("--device", required=True)
options = parser.parse_args()

for role in (device, kept, operator, integrator):
    print(f"-- {role.__name__}, MQTT {'5' if options.version == '5' else '3.1.1'}", flush=True)
    try:
        role()
    except queue.Empty:
        check(f"{role.__name__}: what was expected came in time", False)
sys.exit(1 if failed else 0)
