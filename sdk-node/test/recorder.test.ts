import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, readdirSync, renameSync, rmSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type TestContext, test } from "node:test";
import { ControlZero } from "@controlzero/sdk";
import { backoffS, stepAfter } from "../src/link.js";
import { entryOf, split } from "../src/recorder/entries.js";
import { type Claim, abandoned, begin } from "../src/recorder/folders.js";
import { PositionFile } from "../src/recorder/position.js";
import { type Batch, SpoolBacklog } from "../src/recorder/backlog.js";
import { MemorySpool } from "../src/recorder/memory.js";
import { Spool } from "../src/recorder/spool.js";
import { API_KEY, GatewayDouble, LOST_ANSWER } from "./gateway-double.js";
import { aPlace as aPlaceUnder, files, folder, temporaryFilesIn, until } from "./places.js";
import { program } from "./program.js";

const ALLOW_ALL = { rules: [{ effect: "allow", action: "*" }] };
const DESTINATION = { projectId: "default", baseUrl: "http://gateway" };
const PRODUCER = "01990000-0000-7000-8000-000000000001";
const STARTED_AT = 0x01990000_0000 * 1000;
const clock = () => STARTED_AT + 5_000_000;

/** Disks that a program fills, by the command that gives it one. */
const DISKS: readonly [string, readonly string[]][] = [
  ["a limit on files", ["sh", "-c", 'ulimit -f 200; exec "$@"', "sh"]],
  ["a full disk", ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs -o size=600k none SPOOL && exec "$@"', "sh"]],
];
const FILLING = `
  let [kept, lost] = [0, 0];
  const act = () => {
    const { allowed, isRecorded } = cz.guard({ tool: "report", method: "write", args: { fill: "x".repeat(700) } });
    if (!allowed) throw new Error("denied");
    if (isRecorded) kept += 1;
    else lost += 1;
  };
  for (let each = 0; each < 3_000; each++) act();
  for (let each = 0; each < 3; each++) {
    await cz.flush();
    act();
  }
  console.log(JSON.stringify({ kept, lost, isDelivered: await cz.close() }));
`;

function canRun(wrapped: readonly string[]): boolean {
  const [command, ...others] = wrapped.map((word) => word.replace("SPOOL", "/mnt"));
  return spawnSync(command, [...others, "true"]).status === 0;
}

const aPlace = (context: TestContext) => aPlaceUnder(context, ALLOW_ALL);

/** Check that what came is numbered 0, 1, 2 … of one producer, and return the records. */
function inOrder({ deliveries }: GatewayDouble): Record<string, unknown>[] {
  let next = 0;
  for (const { headers, lines } of deliveries) {
    assert.equal(headers["cz-producer"], deliveries[0].headers["cz-producer"]);
    assert.equal(Number(headers["cz-first-seq"]), next);
    next += lines.length;
    assert.equal(Number(headers["cz-total"]), next);
  }
  return deliveries.flatMap(({ lines }) => lines);
}

test("deliveries say who, from which number on, and that the producer has ended", async (context) => {
  const { gateway, open } = await aPlace(context);
  const cz = await open();
  cz.guard({ tool: "a" });
  assert.ok(await cz.flush());
  cz.guard({ tool: "b" });
  cz.guard({ tool: "c" });
  assert.ok(await cz.close());
  assert.deepEqual(
    inOrder(gateway).map(({ tool }) => tool),
    ["a", "b", "c"],
  );
  const [first, last] = gateway.deliveries.map(({ headers }) => headers);
  assert.equal(first.authorization, `Bearer ${API_KEY}`);
  assert.equal(first["content-type"], "application/x-ndjson");
  assert.equal(first["content-encoding"], "gzip");
  assert.equal(first["cz-project"], "default");
  assert.match(first["user-agent"], /^controlzero-node\/\d/);
  assert.match(first["cz-producer"], /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  assert.deepEqual([first["cz-closed"], last["cz-closed"], last["cz-total"]], [undefined, "1", "3"]);
});

test("a gateway that takes less at once gets less at once", async (context) => {
  const { gateway, open } = await aPlace(context);
  gateway.linesMax = 3;
  const cz = await open();
  for (let each = 0; each < 20; each++) cz.guard({ tool: `t${each}` });
  assert.ok(await cz.close());
  assert.deepEqual(
    inOrder(gateway).map(({ tool }) => tool),
    Array.from({ length: 20 }, (_, each) => `t${each}`),
  );
});

test("a record that the gateway takes in no size is reported as lost in its place", async (context) => {
  const { gateway, open } = await aPlace(context);
  gateway.answers.push(413);
  const cz = await open();
  cz.guard({ tool: "large" });
  assert.ok(await cz.close());
  assert.deepEqual(
    inOrder(gateway).map(({ kind, reason, count }) => [kind, reason, count]),
    [["loss", "unencodable", 1]],
  );
});

test("a refused key holds what was recorded, a failing gateway too, and nothing is dropped", async (context) => {
  const { gateway, open } = await aPlace(context);
  gateway.answers.push(401, 403, 503, 429, 500);
  const cz = await open();
  for (let each = 0; each < 5; each++) {
    cz.guard({ tool: `t${each}` });
    assert.equal(await cz.flush(), false);
  }
  assert.ok(await cz.flush());
  assert.equal(inOrder(gateway).length, 5);
});

test("a refused key is asked with again much later than a failing gateway is asked", async (context) => {
  const [refusing, failing] = [await aPlace(context), await aPlace(context)];
  refusing.gateway.answers.push(401);
  failing.gateway.answers.push(503, 503, 503);
  for (const { open } of [refusing, failing]) {
    const cz = await open();
    cz.guard({ tool: "t" });
    cz.guard({ tool: "t" });
  }
  await until(() => failing.gateway.records().length === 2);
  assert.equal(failing.gateway.asked, 4);
  assert.equal(refusing.gateway.asked, 1);
});

test("an answer that got lost makes a repeat under the same numbers", async (context) => {
  const { gateway, open } = await aPlace(context);
  gateway.answers.push(LOST_ANSWER);
  const cz = await open();
  cz.guard({ tool: "t" });
  await until(() => gateway.deliveries.length === 2);
  const [first, again] = gateway.deliveries;
  assert.deepEqual(again.lines, first.lines);
  for (const name of ["cz-producer", "cz-first-seq", "cz-total"]) assert.equal(again.headers[name], first.headers[name]);
});

test("what is recorded while the gateway is away comes once it is back", async (context) => {
  const { gateway, open } = await aPlace(context);
  const cz = await open();
  gateway.isAway = true;
  for (let each = 0; each < 50; each++) assert.equal(cz.guard({ tool: `t${each}` }).isRecorded, true);
  assert.equal(await cz.flush(), false);
  gateway.isAway = false;
  await until(() => gateway.records().length === 50);
  assert.equal(inOrder(gateway).length, 50);
});

test("a full spool drops the newest, and says how many and since when once there is room", async (context) => {
  const { gateway, open } = await aPlace(context);
  const cz = await open({ spoolBytesMax: 1024 * 1024 });
  gateway.isAway = true;
  const args = { note: "x".repeat(20_000) };
  const kept = Array.from({ length: 80 }, () => cz.guard({ tool: "t", args }).isRecorded);
  const lost = kept.filter((each) => !each).length;
  assert.ok(lost > 10 && kept[0]);
  gateway.isAway = false;
  assert.ok(await cz.close());
  const records = inOrder(gateway);
  const losses = records.filter(({ kind }) => kind === "loss");
  assert.equal(records.length - losses.length, kept.length - lost);
  assert.equal(
    losses.reduce((sum, { count }) => sum + (count as number), 0),
    lost,
  );
  assert.ok(losses.every(({ reason, since_at, occurred_at }) => reason === "spool_full" && (since_at as number) <= (occurred_at as number)));
});

test("an end that cannot report its losses is no proof", async (context) => {
  const claim = begin(folder(context), DESTINATION, PRODUCER);
  const spool = new Spool(claim, clock, 100);
  const entry = entryOf(JSON.stringify({ padding: "x".repeat(100) }));
  assert.deepEqual([spool.append(entry), spool.append(entry)], [true, false]);
  spool.end();
  const backlog = new SpoolBacklog(claim, spool);
  const only = (await backlog.nextBatch()) as Batch;
  assert.equal(only.lines.length, 1);
  backlog.acknowledge(only);
  assert.deepEqual([only.closes, await backlog.nextBatch()], [false, null]);
});

test("a full memory drops the newest, and says so once there is room", async () => {
  const spool = new MemorySpool(PRODUCER, clock, 40);
  const entry = entryOf('{"padding":"xxxxxxxxxxxx"}');
  assert.deepEqual(
    Array.from({ length: 5 }, () => spool.append(entry)),
    [true, true, false, false, false],
  );
  const kept = (await spool.nextBatch()) as Batch;
  assert.deepEqual([kept.firstSeq, kept.lines.length], [0, 2]);
  spool.acknowledge(kept);
  const told = (await spool.nextBatch()) as Batch;
  assert.equal(told.firstSeq, 2);
  assert.deepEqual(
    told.lines.map((line) => JSON.parse(line.toString()) as unknown),
    [{ kind: "loss", occurred_at: clock(), since_at: STARTED_AT, count: 3, reason: "disk_full" }],
  );
});

test("what waits in memory goes in batches no larger than what waits on disk", async () => {
  const spool = new MemorySpool(PRODUCER, clock);
  for (let each = 0; each < 3; each++) spool.append(entryOf(JSON.stringify({ padding: "x".repeat(700_000) })));
  for (let each = 0; each < 3; each++) {
    const batch = (await spool.nextBatch()) as Batch;
    assert.deepEqual([batch.firstSeq, batch.lines.length, batch.isAll], [each, 1, each === 2]);
    spool.acknowledge(batch);
  }
  assert.equal(await spool.nextBatch(), null);
});

for (const [what, wrapped] of DISKS) {
  const skip = wrapped.length > 0 && !canRun(wrapped) && `${wrapped[0]} may not do that here`;
  test(`${what} stops no agent, and every loss is counted`, { skip }, async (context) => {
    const { gateway, spool } = await aPlace(context);
    const done = await program(context, { gateway, spool, wrapped: wrapped.map((word) => word.replace("SPOOL", spool)) }, FILLING);
    assert.equal(done.status, 0, done.stderr);
    const { kept, lost, isDelivered } = JSON.parse(done.stdout) as { kept: number; lost: number; isDelivered: boolean };
    assert.ok(lost > 100, "the disk was full");
    assert.ok(isDelivered);
    const records = inOrder(gateway);
    const losses = records.filter(({ kind }) => kind === "loss");
    assert.equal(records.length - losses.length, kept);
    assert.equal(
      losses.reduce((sum, { count }) => sum + (count as number), 0),
      lost,
    );
    assert.ok(losses.every(({ reason }) => reason === "disk_full" || reason === "torn"));
    assert.equal(gateway.deliveries.at(-1)?.headers["cz-closed"], "1");
  });
}

test("what a killed process recorded is brought by the next of its own destination, and of no other", async (context) => {
  const { gateway, spool, open } = await aPlace(context);
  gateway.isAway = true;
  const other = await GatewayDouble.start(ALLOW_ALL);
  context.after(() => other.stop());
  const child = spawn(process.execPath, [new URL("agent.js", import.meta.url).pathname, JSON.stringify({ apiKey: API_KEY, baseUrl: gateway.url, spool })], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  gateway.isAway = false;
  await once(child.stdout, "data");
  gateway.isAway = true;
  child.stdin.write(`${JSON.stringify({ do: "many", with: { count: 900, tool: "t" } })}\n`);
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await once(child, "exit");
  const elsewhere = await open({ baseUrl: other.url });
  elsewhere.guard({ tool: "elsewhere" });
  assert.ok(await elsewhere.close());
  assert.equal(other.records().length, 1);
  gateway.isAway = false;
  const cz = await open();
  cz.guard({ tool: "last" });
  await until(() => gateway.records().length === 901);
  const dead = gateway.deliveries.filter(({ headers }) => headers["cz-producer"] !== cz.producerId);
  assert.deepEqual(
    dead.flatMap(({ lines }) => lines).map(({ args }) => (args as { each: number }).each),
    Array.from({ length: 900 }, (_, each) => each),
  );
  assert.ok(dead.every(({ headers }) => headers["cz-closed"] === undefined), "nobody knows whether that was all");
  await until(() => files(spool).filter((path) => path.endsWith(".records")).length === 1);
});

test("what was recorded without a server is brought once there is one, of its own project and no other", async (context) => {
  const { gateway, spool, open } = await aPlace(context);
  const policyFile = join(folder(context), "p.json");
  writeFileSync(policyFile, JSON.stringify(ALLOW_ALL));
  for (const projectId of ["default", "another"]) {
    const local = new ControlZero({ policyFile, spool, projectId });
    await local.initialize();
    local.guard({ tool: projectId });
    await local.close();
  }
  const cz = await open();
  cz.guard({ tool: "here" });
  await until(() => gateway.records().length === 2);
  assert.ok(await cz.close());
  assert.deepEqual(gateway.records().map(({ tool }) => tool).sort(), ["default", "here"]);
  assert.equal(files(spool).filter((path) => path.endsWith(".records")).length, 1, "the other project's");
});

test("a folder that cannot be written gives way to one among the temporary files", async (context) => {
  const { gateway, open } = await aPlace(context);
  const home = folder(context);
  writeFileSync(join(home, "file"), "");
  temporaryFilesIn(context, home);
  const cz = await open({ spool: join(home, "file", "spool") });
  assert.ok(cz.guard({ tool: "t" }).isRecorded);
  assert.equal(files(home).filter((path) => /^controlzero-spool-.*\.records$/.test(path)).length, 1);
  assert.ok(await cz.close());
  assert.equal(inOrder(gateway).length, 1);
});

test("a spool that somebody deleted under way begins another producer", async (context) => {
  const { gateway, spool, open } = await aPlace(context);
  const cz = await open();
  cz.guard({ tool: "a" });
  assert.ok(await cz.flush());
  const before = cz.producerId as string;
  const [owner] = files(spool).filter((path) => path.includes(before));
  rmSync(join(spool, dirname(owner)), { recursive: true });
  cz.guard({ tool: "lost with its folder" });
  await cz.flush();
  cz.guard({ tool: "b" });
  assert.ok(await cz.flush());
  assert.notEqual(cz.producerId, before);
  assert.deepEqual(
    gateway.records().map(({ tool }) => tool),
    ["a", "b"],
  );
});

test("after its end a client goes on as another producer", async (context) => {
  const { gateway, open } = await aPlace(context);
  const cz = await open();
  cz.guard({ tool: "a" });
  const before = cz.producerId;
  assert.ok(await cz.close());
  cz.guard({ tool: "b" });
  assert.ok(await cz.flush());
  assert.notEqual(cz.producerId, before);
  assert.deepEqual(
    gateway.records().map(({ tool }) => tool),
    ["a", "b"],
  );
});

test("a folder is taken over once its process is gone, by one alone, and never from a living one", (context) => {
  const root = folder(context);
  const claim = begin(root, DESTINATION, PRODUCER);
  assert.deepEqual([...abandoned(root, DESTINATION)], [], "its process lives");
  const home = dirname(claim.folder);
  const owner = ownerIn(claim);
  const of = (space: string, pid: string, started: string) => `owner.${space}.${pid}.${started}.0`;
  const [, space, , started] = owner.split(".");
  const rename = (name: string) => renameSync(join(claim.folder, ownerIn(claim)), join(claim.folder, name));
  rename(of(space, "999999999", started)); // no such process
  for (const elsewhere of [{ projectId: "another" }, { baseUrl: "http://another" }, { baseUrl: null }]) {
    assert.deepEqual([...abandoned(root, { ...DESTINATION, ...elsewhere })], [], "it is to go elsewhere");
  }
  const [taken] = [...abandoned(root, DESTINATION)];
  assert.equal(taken.producerId, PRODUCER);
  assert.deepEqual([...abandoned(root, DESTINATION)], [], "it is taken");
  rename(of(space, String(process.pid), "1")); // a process that had this one's id before
  assert.equal([...abandoned(root, DESTINATION)].length, 1);
  rename(of("another0container", "1", "1"));
  assert.deepEqual([...abandoned(root, DESTINATION)], [], "it was renewed a moment ago");
  utimesSync(join(claim.folder, ownerIn(claim)), 1, 1);
  const [again] = [...abandoned(root, DESTINATION)];
  claim.ownership.release(); // of one who does not hold it any more: nothing happens
  assert.deepEqual([...abandoned(root, DESTINATION)], []);
  again.ownership.release();
  assert.equal([...abandoned(root, DESTINATION)].length, 1, "it was let go of");
  rmSync(join(claim.folder, ownerIn(claim)));
  writeFileSync(join(claim.folder, "lock"), "");
  assert.deepEqual([...abandoned(root, DESTINATION)], [], "it is the Python SDK's");
  assert.equal(readdirSync(home).length, 2);
});

function ownerIn({ folder: path }: Claim): string {
  return readdirSync(path).find((name) => name.startsWith("owner.")) as string;
}

test("a spool that another took over while its process stood still is not written to", async (context) => {
  const { spool, open } = await aPlace(context);
  const cz = await open();
  cz.guard({ tool: "a" });
  assert.ok(await cz.flush());
  const before = cz.producerId;
  const owner = files(spool).find((path) => path.includes("owner.")) as string;
  renameSync(join(spool, owner), join(spool, dirname(owner), "owner.another.1.1.0"));
  const real = performance.now.bind(performance);
  context.mock.method(performance, "now", () => real() + 60_000);
  cz.guard({ tool: "b" });
  assert.notEqual(cz.producerId, before);
});

test("a torn entry keeps its number and hides nothing behind it", () => {
  const [whole, torn] = [entryOf('{"a":1}'), Buffer.from('\x1e{"kind":"decision","occurred_at":1790000000000000,"act')];
  const found = split(Buffer.concat([whole, torn, whole]), { isFinal: true, startedAt: STARTED_AT });
  assert.deepEqual(
    found.lines.map((line) => JSON.parse(line.toString()) as unknown),
    [{ a: 1 }, { kind: "loss", occurred_at: 1_790_000_000_000_000, since_at: STARTED_AT, count: 1, reason: "torn" }, { a: 1 }],
  );
  assert.equal(split(Buffer.concat([whole, torn]), { isFinal: false, startedAt: 0 }).lines.length, 1, "it may still become whole");
  assert.equal(split(Buffer.concat([whole, torn]), { isFinal: true, startedAt: 0 }).lines.length, 2);
});

test("segments come and go, and no number does", async (context) => {
  const claim = begin(folder(context), DESTINATION, PRODUCER);
  const spool = new Spool(claim, clock, 64 * 1024); // segments of 16 KiB
  const backlog = new SpoolBacklog(claim, spool);
  const seen: number[] = [];
  let recorded = 0;
  for (let round = 0; round < 30; round++) {
    for (let each = 0; each < 40; each++) assert.ok(spool.append(entryOf(JSON.stringify({ recorded: recorded++, padding: "x".repeat(100) }))));
    for (let batch = await backlog.nextBatch(17); batch !== null; batch = await backlog.nextBatch(17)) {
      assert.equal(batch.firstSeq, seen.length);
      seen.push(...batch.lines.map((line) => (JSON.parse(line.toString()) as { recorded: number }).recorded));
      backlog.acknowledge(batch);
    }
  }
  spool.end();
  const last = await backlog.nextBatch();
  assert.equal(last?.closes, true);
  assert.deepEqual(
    seen,
    Array.from({ length: 1200 }, (_, each) => each),
  );
  assert.ok(readdirSync(claim.folder).filter((name) => name.endsWith(".records")).length <= 2);
});

test("a torn position is told by its checksum, and the other one counts", (context) => {
  const home = folder(context);
  const file = new PositionFile(home);
  file.advance({ seq: 5, segment: 0, offset: 50 });
  file.advance({ seq: 9, segment: 1, offset: 10 });
  assert.deepEqual(file.position, { seq: 9, segment: 1, offset: 10 });
  file.close();
  const path = join(home, "position");
  const content = readFileSync(path);
  const newest = content.indexOf("9 1 10");
  content.write("8", newest);
  writeFileSync(path, content);
  assert.deepEqual(new PositionFile(home).position, { seq: 5, segment: 0, offset: 50 });
  truncateSync(path, 30);
  assert.throws(() => new PositionFile(home), /neither slot has a valid checksum/);
});

test("what a reply asks for", () => {
  assert.deepEqual(
    [202, 413, 408, 425, 429, 500, 503, 401, 403, 404, 422].map(stepAfter),
    ["go_on", "split", "again", "again", "again", "again", "again", "hold", "hold", "hold", "hold"],
  );
  const wait = (failures: number, retryAfterS: number | null = null) => backoffS(failures, { retryAfterS, jitter: 0 });
  assert.deepEqual([wait(1), wait(2), wait(50), wait(1, 7), wait(1, 9_999)], [0.125, 0.25, 15, 7, 300]);
});
