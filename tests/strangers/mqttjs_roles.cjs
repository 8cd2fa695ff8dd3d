// mqtt.js as a device, an operator and an integrator.
//
// Prints one line for each check; ends with 1 if one failed.
//
// mqttjs_roles.cjs VERSION PORT FOLDER DEVICE

const fs = require("node:fs");
const path = require("node:path");
const mqtt = require("mqtt");

const PATIENCE_MS = 60_000;
const [version, port, folder, device] = process.argv.slice(2);
const v5 = version === "5";
let failed = 0;

function check(what, holds, detail = "") {
  console.log((holds ? "ok    " : "WRONG ") + what + (holds ? "" : `  (${JSON.stringify(detail)})`));
  failed += holds ? 0 : 1;
}

function inTime(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} in time`)), PATIENCE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** A connected principal. */
class Somebody {
  static async connect(kind, name, home, { suffix = "", keepalive = 60, kept } = {}) {
    const who = new Somebody();
    who.me = `muster/v1/${kind}/${name}`;
    who.messages = [];
    who.waiting = [];
    const read = (file) => fs.readFileSync(path.join(folder, home, file));
    who.client = mqtt.connect({
      host: "127.0.0.1",
      port: Number(port),
      protocol: "mqtts",
      ca: read("roots.pem"),
      cert: read("certificate.pem"),
      key: read("key.pem"),
      clientId: name + suffix,
      protocolVersion: v5 ? 5 : 4,
      keepalive,
      clean: kept === undefined,
      properties: v5 && kept !== undefined ? { sessionExpiryInterval: kept } : undefined,
      reconnectPeriod: 0,
    });
    who.client.on("message", (topic, payload, packet) => {
      who.messages.push({ topic, body: JSON.parse(payload), packet });
      who.waiting.forEach((look) => look());
    });
    who.connack = await inTime(
      new Promise((resolve, reject) => {
        who.client.once("connect", resolve);
        who.client.once("error", reject);
      }),
      "CONNACK",
    );
    who.client.on("error", (error) => check(`${name} meets no error`, false, error.message));
    return who;
  }

  /** Whether it is granted. */
  subscribe(filter, qos = 1) {
    return inTime(
      new Promise((resolve) => {
        this.client.subscribe(filter, { qos }, (error, granted) => {
          resolve(!error && (granted ?? []).every((one) => one.qos < 128));
        });
      }),
      "SUBACK",
    );
  }

  /** The reason code of the PUBACK, or of the PUBCOMP; 0 in MQTT 3.1.1. */
  publish(topic, payload, { qos = 1, ...properties } = {}) {
    const text = typeof payload === "string" ? payload : JSON.stringify(payload);
    return inTime(
      new Promise((resolve) => {
        const given = Object.keys(properties).length > 0 ? { properties } : {};
        this.client.publish(topic, text, { qos, ...given }, (error) => resolve(error ? (error.code ?? -1) : 0));
      }),
      "acknowledgement",
    );
  }

  up(verb, payload, options) {
    return this.publish(`${this.me}/up/${verb}`, payload, options);
  }

  /** The next message whose topic ends like this. */
  next(end) {
    return inTime(
      new Promise((resolve) => {
        const look = () => {
          const at = this.messages.findIndex((message) => message.topic.endsWith(end));
          if (at < 0) return;
          this.waiting = this.waiting.filter((other) => other !== look);
          resolve(this.messages.splice(at, 1)[0]);
        };
        this.waiting.push(look);
        look();
      }),
      `message ${end}`,
    );
  }

  async leave() {
    await inTime(this.client.endAsync(), "end");
  }
}

/** The code of a publish that was refused: in the PUBACK, or told beside it. */
async function refusalOf(who, reason) {
  if (v5) return { 135: "denied", 144: "unknown-verb" }[reason] ?? reason;
  return (await who.next("down/front-door/publish/rejected")).body.code;
}

async function asDevice() {
  const who = await Somebody.connect("devices", device, `identities/${device}`, { keepalive: 2 });
  check("a device subscribes to its own down/", await who.subscribe(`${who.me}/down/#`));
  for (const other of ["muster/v1/devices/victim/down/#", "muster/v1/events/#", "#"]) {
    check(`it may not subscribe to ${other}`, !(await who.subscribe(other)));
  }
  const report = { request_id: "r-1", model: "p200", firmware_version: "1.0.0" };
  check("a report is acknowledged", (await who.up("registry/report", report)) === 0);
  let reply = await who.next("down/registry/report/accepted");
  check("its reply carries the request's name", reply.body.request_id === "r-1", reply.body);
  const beat = { uptime_ms: "60000", metrics: { temperature: 41.5 } };
  check("a heartbeat is acknowledged", (await who.up("monitoring/heartbeat", beat)) === 0);

  let reason = await who.publish("muster/v1/devices/victim/up/registry/report", { model: "stolen" });
  check("another device's topic is refused", (await refusalOf(who, reason)) === "denied", reason);
  reason = await who.up("registry/nonsense", {});
  check("an unknown verb is refused", (await refusalOf(who, reason)) === "unknown-verb", reason);
  reason = await who.up("registry/report", '{"nonsense":1}');
  reply = await who.next("down/registry/report/rejected");
  check("JSON with an unknown field is malformed", reply.body.code === "malformed", reply.body);
  if (v5) {
    check("the PUBACK says so, too", reason === 0x99, reason);
    await withProperties(who);
  }
  // Twice the keep-alive and more, so that it lives on pings alone.
  await pause(5_000);
  check("keep-alive holds the connection", who.client.connected);
  await who.up("registry/standing", { request_id: "s-2" });
  reply = await who.next("down/registry/standing/accepted");
  check("it is answered after the silence", reply.body.request_id === "s-2", reply.body);
  await who.leave();
}

async function withProperties(who) {
  const responseTopic = `${who.me}/down/mine`;
  await who.up("registry/standing", {}, { correlationData: Buffer.from("c-1"), responseTopic });
  const reply = await who.next("/down/mine");
  check("the reply comes to the response topic", reply.body.stage === "STAGE_ACTIVE", reply.body);
  const { correlationData, contentType } = reply.packet.properties ?? {};
  check("with the correlation data", String(correlationData) === "c-1", String(correlationData));
  check("with its content type", contentType === "application/json", contentType);
  const foreign = "muster/v1/devices/victim/down/mine";
  const reason = await who.up("registry/standing", {}, { responseTopic: foreign });
  check("a response topic of another is refused", reason >= 128, reason);
  const { receiveMaximum } = who.connack.properties ?? {};
  check("the CONNACK bounds what may be under way", receiveMaximum > 0, receiveMaximum);
}

/** QoS 2, and a session that is kept. */
async function asDeviceThatComesBack() {
  const home = `identities/${device}`;
  let who = await Somebody.connect("devices", device, home, { suffix: ":kept", kept: 60 });
  check("a session begins", !who.connack.sessionPresent);
  check("QoS 2 is granted", await who.subscribe(`${who.me}/down/#`, 2));
  for (let n = 0; n < 3; n++) {
    const reason = await who.up("registry/standing", { request_id: `k-${n}` }, { qos: 2 });
    check("a request at QoS 2 is complete", reason === 0, reason);
    const reply = await who.next("down/registry/standing/accepted");
    const good = reply.packet.qos === 2 && reply.body.request_id === `k-${n}`;
    check("its reply comes at QoS 2", good, reply.body);
  }
  await who.leave();
  const other = await Somebody.connect("devices", device, home, { suffix: ":other" });
  for (let n = 0; n < 3; n++) await other.up("registry/standing", { request_id: `away-${n}` });
  await other.leave();
  who = await Somebody.connect("devices", device, home, { suffix: ":kept", kept: 60 });
  check("the session goes on", who.connack.sessionPresent);
  for (let n = 0; n < 3; n++) {
    const reply = await who.next("down/registry/standing/accepted");
    check("what came meanwhile is there, in order", reply.body.request_id === `away-${n}`, reply.body);
  }
  await who.leave();
  who = await Somebody.connect("devices", device, home, { suffix: ":kept" });
  check("a clean start leaves nothing of it", !who.connack.sessionPresent);
  await who.leave();
}

async function asOperator() {
  const who = await Somebody.connect("operators", "admin", "people/admin", { suffix: ":js" });
  await who.subscribe(`${who.me}/down/#`);
  const name = `js-${version}`;
  const register = { request_id: name, device_id: name, model: "p200" };
  const answers = [];
  for (let n = 0; n < 2; n++) {
    await who.up("registry/register", register);
    answers.push((await who.next("down/registry/register/accepted")).body);
  }
  check("a device is registered", answers[0].id === name, answers);
  check("the same request gets the same answer", JSON.stringify(answers[0]) === JSON.stringify(answers[1]), answers);
  const reason = await who.up("registry/register", { ...register, model: "p300" });
  let reply = await who.next("down/registry/register/rejected");
  check("another one under its name is a conflict", reply.body.code === "conflict", reply.body);
  if (v5) check("by its reason code, too", reason === 0x83, reason);
  await who.up("registry/show", { device_id: name });
  reply = await who.next("down/registry/show/accepted");
  check("the device is shown", reply.body.device.stage === "STAGE_REGISTERED", reply.body);
  await who.up("registry/show", { device_id: "nobody" });
  reply = await who.next("down/registry/show/rejected");
  check("what is not there is not found", reply.body.code === "not-found", reply.body);
  await who.leave();

  const viewer = await Somebody.connect("operators", "vera", "identities/vera");
  await viewer.subscribe(`${viewer.me}/down/#`);
  const denied = await viewer.up("registry/register", { request_id: "v-1", device_id: "never" });
  check("a viewer changes nothing", (await refusalOf(viewer, denied)) === "denied", denied);
  await viewer.leave();
}

async function asIntegrator() {
  const who = await Somebody.connect("integrators", "erp", "identities/erp");
  check("an integrator subscribes as granted", await who.subscribe("muster/v1/events/registry/#"));
  await who.subscribe(`${who.me}/down/#`);
  for (const other of ["muster/v1/events/#", "muster/v1/events/provisioning/#"]) {
    check(`it may not subscribe to ${other}`, !(await who.subscribe(other)));
  }
  const admin = await Somebody.connect("operators", "admin", "people/admin", { suffix: ":other" });
  const name = `live-js-${version}`;
  await admin.up("registry/register", { request_id: name, device_id: name });
  const live = (await who.next(`devices/${name}/registered`)).body;
  check("a live event arrives", live.type === "muster.registry.device.registered.v1", live);
  await admin.leave();
  const events = [];
  for (let after = 0, complete = false; !complete; ) {
    await who.up("registry/replay", { after: String(after), limit: 3 });
    const marker = (await who.next("down/registry/replay/accepted")).body;
    const came = who.messages.filter((message) => message.topic.endsWith("down/registry/replay/event"));
    who.messages = [];
    events.push(...came.map((message) => message.body));
    after = Number(marker.last);
    complete = marker.complete === true;
  }
  const numbers = events.map((event) => Number(event.sequence));
  check("replay has no gap", numbers.length > 3 && numbers.every((number, at) => number === at + 1), numbers);
  check("it reaches the live event", events.some((event) => event.id === live.id), numbers);
  await who.leave();
}

(async () => {
  for (const role of [asDevice, asDeviceThatComesBack, asOperator, asIntegrator]) {
    console.log(`-- ${role.name}, MQTT ${v5 ? "5" : "3.1.1"}`);
    try {
      await role();
    } catch (error) {
      check(`${role.name}: ${error.message}`, false);
    }
  }
  process.exit(failed > 0 ? 1 : 0);
})();
