"""paho-mqtt as a device over WebSocket, and bytes that no client sends, over mTLS.

Prints one line for each check; ends with 1 if one failed.
"""

import argparse
import json
import os
import queue
import socket
import ssl
import sys
import time

import paho.mqtt.client as mqtt

PATIENCE = 60
failed = []


def check(what, holds, detail=""):
    print(("ok    " if holds else "WRONG ") + what + ("" if holds else f"  ({detail})"), flush=True)
    if not holds:
        failed.append(what)


def identity():
    path = os.path.join(options.folder, "identities", options.device)
    return [os.path.join(path, name) for name in ("roots.pem", "certificate.pem", "key.pem")]


def paho(version):
    me = f"muster/v1/devices/{options.device}"
    roots, certificate, key = identity()
    client = mqtt.Client(
        mqtt.CallbackAPIVersion.VERSION2, client_id=options.device, protocol=version, transport="websockets"
    )
    # Without this header paho names its host as its origin, as a page would.
    client.ws_set_options(path="/mqtt", headers=lambda headers: {k: v for k, v in headers.items() if k != "Origin"})
    client.tls_set(ca_certs=roots, certfile=certificate, keyfile=key)
    connected, messages, acknowledged = queue.Queue(), queue.Queue(), queue.Queue()
    client.on_connect = lambda c, u, flags, reason, p: connected.put(reason)
    client.on_message = lambda c, u, message: messages.put(message)
    client.on_publish = lambda c, u, mid, reason, p: acknowledged.put(mid)
    client.connect("127.0.0.1", options.port, keepalive=20)
    client.loop_start()
    check("paho is let in", not connected.get(timeout=PATIENCE).is_failure)
    client.subscribe(f"{me}/down/#", qos=1)
    # A payload that takes many frames of many sizes.
    report = {"request_id": f"r-{int(version)}", "model": "p200", "attributes": {f"k{n}": "v" * 200 for n in range(60)}}
    sent = client.publish(f"{me}/up/registry/report", json.dumps(report), qos=1)
    check("a large report is acknowledged", acknowledged.get(timeout=PATIENCE) == sent.mid)
    answer = messages.get(timeout=PATIENCE)
    named = json.loads(answer.payload).get("request_id")
    good = named == report["request_id"] and answer.topic.endswith("/accepted")
    check("its answer came", good, (answer.topic, answer.payload[:200]))
    client.disconnect()
    client.loop_stop()


def dial():
    roots, certificate, key = identity()
    context = ssl.create_default_context(cafile=roots)
    context.load_cert_chain(certificate, key)
    raw = socket.create_connection(("127.0.0.1", options.port), timeout=PATIENCE)
    return context.wrap_socket(raw, server_hostname="127.0.0.1")


def upgrade(protocol="mqtt", origin=None, host="127.0.0.1"):
    lines = [
        "GET /mqtt HTTP/1.1", f"Host: {host}", "Upgrade: websocket", "Connection: Upgrade",
        "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        f"Sec-WebSocket-Protocol: {protocol}",
    ]
    if origin:
        lines.append(f"Origin: {origin}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def answered(request):
    with dial() as stream:
        stream.sendall(request)
        return stream.recv(4096).split(b"\r\n")[0]


def bytes_by_hand():
    check("it is upgraded", b" 101 " in answered(upgrade()))
    check("another host's name is refused", b" 421 " in answered(upgrade(host="evil.example.com")))
    check("another subprotocol is refused", b" 400 " in answered(upgrade(protocol="chat")))
    check("a page's origin is refused", b" 403 " in answered(upgrade(origin="https://evil.example.com")))
    check("a listed one is not", b" 101 " in answered(upgrade(origin="https://console.example.com")))
    with dial() as stream:
        stream.sendall(upgrade())
        stream.recv(4096)
        # A text frame, masked with zeros.
        stream.sendall(b"\x81\x85\0\0\0\0hello")
        check("a text frame closes with 1003", stream.recv(4096)[2:4] == b"\x03\xeb")
    with dial() as stream:
        stream.sendall(upgrade())
        stream.recv(4096)
        stream.sendall(b"\x82\xff" + (300 * 1024).to_bytes(8, "big") + b"\0\0\0\0")
        check("a frame too large closes with 1009", stream.recv(4096)[2:4] == b"\x03\xf1")


def drip(pause, least, most):
    """A byte after each pause: it is cut off within the deadline, whatever comes."""
    begun = time.monotonic()
    with dial() as stream:
        stream.settimeout(pause)
        for byte in upgrade() * 2:
            try:
                stream.sendall(bytes([byte]))
                if stream.recv(1) == b"":
                    break
            except TimeoutError:
                pass
            except OSError:
                break
    took = time.monotonic() - begun
    check(f"a handshake by a byte each {pause} s is cut off", least < took < most, took)


parser = argparse.ArgumentParser()
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--folder", required=True, help="the installation")
parser.add_argument("--device", required=True)
options = parser.parse_args()

try:
    for version in (mqtt.MQTTv311, mqtt.MQTTv5):
        paho(version)
    bytes_by_hand()
    drip(0.3, 9, 13)
    drip(0.05, 0, 13)
except queue.Empty:
    check("what was expected came in time", False)
sys.exit(1 if failed else 0)
