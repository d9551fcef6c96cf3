import { expect, test } from "vitest";
import { AddressLimit, ConnectionBudget } from "../../../src/proxy/connection-limits.js";

test("the budget is full at its maximum and has room again when one is given back", () => {
  const budget = new ConnectionBudget(2);
  budget.take();
  expect(budget.isFull).toBe(false);
  budget.take();
  expect(budget.isFull).toBe(true);
  budget.giveBack();
  expect(budget).toMatchObject({ isFull: false, open: 1 });
});

test("a budget of 0 is never full", () => {
  const budget = new ConnectionBudget(0);
  budget.take();
  expect(budget.isFull).toBe(false);
});

test("room goes round among the listeners that wait, one place each", () => {
  const budget = new ConnectionBudget(1);
  const admitted: string[] = [];
  const waiter = (name: string) => ({
    admitWaiting() {
      admitted.push(name);
      budget.take();
      // It has more that wait.
      budget.awaitRoom(this);
    },
  });
  budget.take();
  const b = waiter("b");
  budget.awaitRoom(waiter("a"));
  budget.awaitRoom(b);
  for (let freed = 0; freed < 3; freed++) budget.giveBack();
  expect(admitted).toEqual(["a", "b", "a"]);
  budget.forget(b);
  budget.giveBack();
  expect(admitted).toEqual(["a", "b", "a", "a"]);
});

test("an address has its share, apart from others, and is forgotten when it holds nothing", () => {
  const limit = new AddressLimit(2);
  expect([limit.take("10.0.0.1"), limit.take("10.0.0.1"), limit.take("10.0.0.1")]).toEqual([
    true,
    true,
    false,
  ]);
  expect(limit.take("10.0.0.2")).toBe(true);
  limit.giveBack("10.0.0.1");
  expect(limit.take("10.0.0.1")).toBe(true);
  for (const address of ["10.0.0.1", "10.0.0.1", "10.0.0.2"]) limit.giveBack(address);
  expect(limit.size).toBe(0);
});

test("clients without an address, and a limit of 0, are not counted", () => {
  expect(new AddressLimit(1).take("") && new AddressLimit(1).take("")).toBe(true);
  const off = new AddressLimit(0);
  expect(off.take("10.0.0.1") && off.take("10.0.0.1")).toBe(true);
  expect(off.size).toBe(0);
});
