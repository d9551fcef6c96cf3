import { afterEach, describe, expect, it } from "vitest";
import { Screen } from "../../../../src/dev/demo/screen.js";
import { span } from "../../../../src/dev/demo/styled-text.js";

class FakeOutput {
  columns = 6;
  rows = 3;
  written: string[] = [];
  takesMore = true;

  write(text: string): boolean {
    this.written.push(text);
    return this.takesMore;
  }
}

const listenersBefore = process.listenerCount("exit");

describe("the terminal's second screen", () => {
  const output = new FakeOutput();
  const screen = new Screen(output, false);

  afterEach(() => {
    screen.leave();
    screen.drained();
    output.written = [];
    output.takesMore = true;
  });

  it("writes every column of every row, so that nothing of an older frame is left", () => {
    screen.draw([[span("ab")], [span("123456")]]);
    expect(output.written).toEqual(["\u001b[?2026h\u001b[Hab    \r\n123456\r\n      \u001b[?2026l"]);
  });

  it("leaves frames out while the terminal is behind", () => {
    output.takesMore = false;
    screen.draw([[span("one")]]);
    screen.draw([[span("two")]]);
    expect(output.written).toHaveLength(1);
    screen.drained();
    screen.draw([[span("three")]]);
    expect(output.written[1]).toContain("three");
  });

  it("gives the first screen and the cursor back, also when the process ends at once", () => {
    screen.enter();
    expect(output.written[0]).toContain("\u001b[?1049h");
    expect(process.listenerCount("exit")).toBe(listenersBefore + 1);
    screen.leave();
    expect(output.written[1]).toBe("\u001b[?7h\u001b[?25h\u001b[?1049l");
    expect(process.listenerCount("exit")).toBe(listenersBefore);
  });
});
