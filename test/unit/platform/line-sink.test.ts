import { expect, test } from "vitest";
import { LineSink, type LineTarget } from "../../../src/platform/line-sink.js";
import { ManualClock } from "../../support/manual-clock.js";

type Done = (error: Error | undefined, bytes: number) => void;

/** A target whose writes end when the test says so. */
class HeldTarget implements LineTarget {
  readonly writes: { text: string; done: Done }[] = [];
  isClosed = false;

  write(chunk: Buffer, offset: number, done: Done): void {
    this.writes.push({ text: chunk.toString("latin1", offset), done });
  }

  close(): void {
    this.isClosed = true;
  }

  finish(bytes?: number): void {
    const write = this.writes.shift();
    write?.done(undefined, bytes ?? write.text.length);
  }

  fail(code: string): void {
    this.writes.shift()?.done(Object.assign(new Error(code), { code }), 0);
  }
}

function opened(bufferBytesMax = 1000) {
  const clock = new ManualClock();
  const target = new HeldTarget();
  const failures: string[] = [];
  const onFailure = (error: Error) => failures.push(error.message);
  return { clock, target, failures, sink: new LineSink(target, { clock, onFailure, bufferBytesMax }) };
}

test("lines wait for the flush time and then go out together", async () => {
  const { clock, target, sink } = opened();
  sink.write("a\n");
  sink.write("b\n");
  await clock.advance(99);
  expect(target.writes).toHaveLength(0);
  await clock.advance(1);
  expect(target.writes.map((write) => write.text)).toEqual(["a\nb\n"]);
  sink.write("c\n");
  await clock.advance(1000);
  expect(target.writes).toHaveLength(1);
  target.finish();
  expect(target.writes.map((write) => write.text)).toEqual(["c\n"]);
});

test("a large batch goes out at once", () => {
  const { target, sink } = opened(1024 * 1024);
  sink.write("x".repeat(64 * 1024));
  expect(target.writes).toHaveLength(1);
});

test("a write that was taken in part is carried on with", async () => {
  const { clock, target, sink } = opened();
  sink.write("abcdef\n");
  await clock.advance(100);
  target.finish(2);
  expect(target.writes.map((write) => write.text)).toEqual(["cdef\n"]);
  expect(sink.writtenLines).toBe(0);
  target.finish();
  expect(sink.writtenLines).toBe(1);
});

test("beyond the limit lines are dropped, the write under way included in the count", async () => {
  const { clock, target, sink } = opened(10);
  sink.write("12345\n");
  await clock.advance(100);
  sink.write("123\n");
  sink.write("1\n");
  expect(sink.droppedLines).toBe(1);
  target.finish();
  target.finish();
  sink.write("123456789\n");
  expect(sink).toMatchObject({ droppedLines: 1, writtenLines: 2 });
});

test("a full pipe is tried again after a while, with the same bytes", async () => {
  const { clock, target, sink } = opened();
  sink.write("abc\n");
  await clock.advance(100);
  target.fail("EAGAIN");
  expect(target.writes).toHaveLength(0);
  await clock.advance(20);
  expect(target.writes.map((write) => write.text)).toEqual(["abc\n"]);
  target.finish();
  expect(sink).toMatchObject({ droppedLines: 0, writtenLines: 1 });
});

test("a broken target costs its lines and is reported once until it works again", async () => {
  const { clock, target, sink, failures } = opened();
  for (const turn of [0, 1]) {
    for (const attempt of ["a\n", "b\n"]) {
      sink.write(attempt);
      await clock.advance(100);
      target.fail("ENOSPC");
    }
    expect(failures).toHaveLength(turn + 1);
    sink.write("c\n");
    await clock.advance(100);
    target.finish();
  }
  expect(sink).toMatchObject({ droppedLines: 4, writtenLines: 2 });
});

test("another target takes over between two writes, and the old one is closed", async () => {
  const { clock, target, sink } = opened();
  const next = new HeldTarget();
  sink.write("old\n");
  await clock.advance(100);
  sink.redirect(next);
  sink.write("new\n");
  expect(target.isClosed).toBe(false);
  target.finish();
  expect(target.isClosed).toBe(true);
  expect(next.writes.map((write) => write.text)).toEqual(["new\n"]);
});

test("close gives up at its deadline and closes the target when the last write returns", async () => {
  const { clock, target, sink } = opened();
  sink.write("a\n");
  await clock.advance(100);
  sink.write("b\n");
  const closed = sink.close(500);
  await clock.advance(500);
  await closed;
  sink.write("c\n");
  expect(sink).toMatchObject({ droppedLines: 3, writtenLines: 0 });
  expect(target.isClosed).toBe(false);
  target.fail("EAGAIN");
  expect(target.isClosed).toBe(true);
  await clock.advance(1000);
  expect(target.writes).toHaveLength(0);
});
