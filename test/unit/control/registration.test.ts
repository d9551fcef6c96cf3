import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { ServiceConfig } from "../../../src/config/model.js";
import type { ConsulAnswer } from "../../../src/control/sources/consul/answer.js";
import { settled } from "../../support/manual-clock.js";
import { seededRandom } from "../../support/seeded-random.js";
import { RegistrationScene, refusal, refused, serviceConfig, ttlProbe } from "./registration-scene.js";

const REGISTER = "PUT /agent/service/register";
const REPORT = "PUT /agent/check/update/service%3Aweb-1%3Attl-probe";
const LOOK = ["GET /agent/service/web-1", "GET /agent/checks"];
const DEREGISTER = "PUT /agent/service/deregister/web-1";
const CHECK = "service:web-1:ttl-probe";

function consulTcp(): ServiceConfig["check"] {
  const { ttlMs: _ttlMs, ...timing } = ttlProbe();
  return { ...timing, kind: "consul-tcp", httpPath: undefined };
}

describe("a registration", () => {
  it("is critical until the first probe passed, tells of that at once, and then looks", async () => {
    const scene = await RegistrationScene.started();
    expect(scene.agent.calls[0]?.body).toMatchObject({ ID: "web-1", Check: { Status: "critical" } });
    expect(scene.agent.checks.get(CHECK)).toMatchObject({
      Status: "passing",
      Output: "UP: http check L7OK, status 200",
    });
    expect(scene.agent.takeCalls()).toEqual([REGISTER, ...LOOK, REPORT]);
    expect(scene.probe.targets).toEqual([{ host: "127.0.0.1", port: 5001 }]);
    expect(scene.messages()).toEqual(["service registered", "service status told"]);
    expect(scene.registration.status()).toEqual({ service: "web", id: "web-1", isUp: true });
  });

  it("feeds the check three times in its time to live, and looks every 10 s at the longest", async () => {
    const scene = await RegistrationScene.started();
    await scene.clock.advance(60_000);
    expect(new Set(scene.gaps("/agent/check/update/"))).toEqual(new Set([3_000]));
    expect(new Set(scene.gaps("/agent/checks"))).toEqual(new Set([10_000]));
    expect(scene.agent.calls.filter(({ path }) => path.endsWith("/register"))).toHaveLength(1);
  });

  it("looks after half the time where chance has it so", async () => {
    const scene = new RegistrationScene(serviceConfig(), {}, () => 0);
    scene.registration.start([]);
    await scene.clock.advance(60_000);
    expect(new Set(scene.gaps("/agent/checks"))).toEqual(new Set([5_000]));
  });

  it("becomes critical with the third failure in a row and passing with the second pass, told at once", async () => {
    const scene = await RegistrationScene.started();
    scene.probe.answer = 500;
    await scene.clock.advance(2_985);
    expect(scene.agent.checks.get(CHECK)?.Status).toBe("passing");
    await scene.clock.advance(10);
    expect(scene.agent.checks.get(CHECK)).toMatchObject({
      Status: "critical",
      Output: "DOWN: http check L7STS, status 500",
    });
    scene.probe.answer = 200;
    await scene.clock.advance(1_990);
    expect(scene.agent.checks.get(CHECK)?.Status).toBe("critical");
    await scene.clock.advance(10);
    expect(scene.agent.checks.get(CHECK)?.Status).toBe("passing");
  });

  it("is critical with the first probe that fails", async () => {
    const scene = await RegistrationScene.started({}, { prepare: ({ probe }) => (probe.answer = undefined) });
    await scene.clock.advance(600);
    expect(scene.agent.checks.get(CHECK)).toMatchObject({
      Status: "critical",
      Output: "DOWN: http check L7TOUT, no answer",
    });
  });

  it("warns while the application answers 429, which is no failure", async () => {
    const scene = await RegistrationScene.started();
    scene.probe.answer = 429;
    await scene.clock.advance(1_000);
    expect(scene.agent.checks.get(CHECK)?.Status).toBe("warning");
    await scene.clock.advance(20_000);
    expect(scene.agent.checks.get(CHECK)?.Status).toBe("warning");
  });

  it("leaves probes to the agent where the check is the agent's", async () => {
    const scene = await RegistrationScene.started({ check: consulTcp() });
    await scene.clock.advance(60_000);
    expect(scene.probe.targets).toEqual([]);
    expect(scene.gaps("/agent/checks").length).toBeGreaterThan(4);
    expect(scene.agent.calls.some(({ path }) => path.includes("/check/update/"))).toBe(false);
  });

  it("names the namespace and the partition in every call", async () => {
    const scene = await RegistrationScene.started({}, { consul: { namespace: "ns", partition: "part" } });
    expect(scene.agent.calls).not.toEqual([]);
    for (const { query } of scene.agent.calls) expect(query).toMatchObject({ ns: "ns", partition: "part" });
  });

  it("is given up with a word where the listener has no port", async () => {
    const bound = [{ kind: "unix", path: "/a", mode: undefined }] as const;
    const scene = await RegistrationScene.started(
      { advertise: { kind: "listener", listener: "front" } },
      { bound },
    );
    expect(scene.messages("error")).toEqual(["not registered, the advertised listener has no port"]);
    await scene.registration.stop();
    expect(scene.agent.calls).toEqual([]);
    expect(scene.registration.status()).toBeUndefined();
  });
});

describe("an agent that lost it", () => {
  it("is told anew with the status as it is, as soon as a report finds out", async () => {
    const scene = await RegistrationScene.started();
    scene.agent.forget();
    scene.agent.takeCalls();
    await scene.clock.advance(3_000);
    expect(scene.agent.takeCalls()).toEqual([REPORT, REGISTER, REPORT]);
    expect(scene.agent.checks.get(CHECK)?.Status).toBe("passing");
    expect(scene.reasons()).toEqual(["the agent does not know the check"]);
  });

  it("is told with the status as it is already in the registration", async () => {
    const scene = await RegistrationScene.started();
    scene.agent.forget();
    await scene.clock.advance(3_000);
    const registrations = scene.agent.calls.filter(({ path }) => path.endsWith("/register"));
    expect(registrations.at(-1)?.body).toMatchObject({ Check: { Status: "passing" } });
  });

  it.each([
    ["404 of newer agents", refusal(404, 'Unknown check ID "x"')],
    ["500 of older ones", refusal(500, "Unknown check")],
  ])("is understood by %s", async (_what, answer) => {
    const scene = await RegistrationScene.started();
    let isFirst = true;
    scene.agent.fault = ({ path }) => {
      if (!isFirst || !path.includes("/update/")) return undefined;
      isFirst = false;
      return answer;
    };
    scene.agent.takeCalls();
    await scene.clock.advance(3_000);
    expect(scene.agent.takeCalls()).toEqual([REPORT, REGISTER, REPORT]);
  });

  it("is seen by a look where no report tells", async () => {
    const scene = await RegistrationScene.started({ check: consulTcp() });
    scene.agent.forget();
    scene.agent.takeCalls();
    await scene.clock.advance(10_000);
    expect(scene.agent.takeCalls()).toEqual(["GET /agent/service/web-1", REGISTER]);
    expect(scene.reasons()).toEqual(["the agent does not know the service"]);
  });

  it("gets a check back that someone removed", async () => {
    const scene = await RegistrationScene.started({ check: consulTcp() });
    scene.agent.checks.clear();
    await scene.clock.advance(10_000);
    expect([...scene.agent.checks.keys()]).toEqual(["service:web-1:consul-tcp"]);
    expect(scene.reasons()).toEqual(["someone removed its check"]);
  });

  it("gets back what someone changed, no more often than it is looked at", async () => {
    const scene = await RegistrationScene.started();
    scene.agent.fault = ({ path }) =>
      path === "/agent/service/web-1"
        ? { kind: "ok", status: 200, headers: {}, body: { Service: "web", Port: 1 } }
        : undefined;
    scene.agent.takeCalls();
    await scene.clock.advance(60_000);
    const calls = scene.agent.takeCalls();
    expect(calls.filter((call) => call === REGISTER)).toHaveLength(6);
    expect(scene.reasons()[0]).toBe("someone changed its port");
  });

  it("that loses it always is told with pauses that grow", async () => {
    const scene = await RegistrationScene.started();
    scene.agent.fault = ({ path }) => (path.includes("/update/") ? refusal(404) : undefined);
    scene.agent.takeCalls();
    await scene.clock.advance(60_000);
    const gaps = scene.gaps("/agent/service/register");
    expect(gaps.slice(0, 6)).toEqual([200, 400, 800, 1_600, 3_200, 5_000]);
    expect(Math.max(...gaps)).toBe(5_000);
    expect(scene.registration.status()?.isUp).toBe(false);
  });
});

describe("an agent that fails", () => {
  it("is asked again after 200 ms doubling to 5 s, and complained of once", async () => {
    const scene = await RegistrationScene.started(
      {},
      { prepare: ({ agent }) => (agent.fault = () => refused) },
    );
    await scene.clock.advance(30_000);
    expect(scene.gaps("/agent/service/register").slice(0, 7)).toEqual([
      200, 400, 800, 1_600, 3_200, 5_000, 5_000,
    ]);
    expect(scene.messages()).toEqual(["registration failed, trying on"]);
    expect(scene.registration.status()?.isUp).toBe(false);
    scene.agent.fault = () => undefined;
    await scene.clock.advance(5_000);
    expect(scene.agent.checks.get(CHECK)?.Status).toBe("passing");
    expect(scene.registration.status()?.isUp).toBe(true);
  });

  it("is told the newest status once it is back", async () => {
    const scene = await RegistrationScene.started();
    scene.agent.fault = () => refused;
    scene.probe.answer = 500;
    await scene.clock.advance(10_000);
    scene.agent.fault = () => undefined;
    await scene.clock.advance(5_000);
    expect(scene.agent.checks.get(CHECK)?.Status).toBe("critical");
  });

  it("is fed as soon as it is back, though nothing changed", async () => {
    const scene = await RegistrationScene.started();
    await scene.clock.advance(2_500);
    scene.agent.fault = () => refused;
    await scene.clock.advance(600);
    scene.agent.fault = () => undefined;
    scene.agent.takeCalls();
    await scene.clock.advance(400);
    expect(scene.agent.takeCalls()).toEqual([REPORT]);
  });

  it("has hung when it does not answer within 5 s", async () => {
    const scene = await RegistrationScene.started(
      {},
      { prepare: ({ agent }) => (agent.fault = () => "hang") },
    );
    await scene.clock.advance(5_185);
    expect(scene.agent.calls).toHaveLength(1);
    await scene.clock.advance(10);
    expect(scene.agent.calls).toHaveLength(2);
  });

  it.each<[string, ConsulAnswer, number, RegExp]>([
    [
      "what is missing in the token",
      refusal(403, "Permission denied"),
      200,
      /token lacks service:write on "web"/,
    ],
    ["that the token is unknown", refusal(403, "ACL not found"), 200, /token is unknown to Consul/],
    ["when to come back", refusal(429, "slow down", 7_000), 7_000, /limits the rate/],
    ["what it cannot read", refusal(400, "Invalid Service Meta"), 10_000, /Invalid Service Meta/],
  ])("is understood when it says %s", async (_what, answer, delayMs, reason) => {
    const scene = await RegistrationScene.started(
      {},
      { prepare: ({ agent }) => (agent.fault = () => answer) },
    );
    await scene.clock.advance(20_000);
    expect(scene.gaps("/agent/service/register")[0]).toBe(delayMs);
    expect(scene.reasons()).toEqual([expect.stringMatching(reason)]);
  });

  it("is not asked for ever later, whatever it says", async () => {
    const answer = refusal(503, "", 1e9);
    const scene = await RegistrationScene.started(
      {},
      { prepare: ({ agent }) => (agent.fault = () => answer) },
    );
    await scene.clock.advance(61_000);
    expect(scene.agent.calls).toHaveLength(2);
  });
});

describe("a token that is rotated", () => {
  it("makes it register anew, since the agent keeps the token of the registration", async () => {
    const scene = await RegistrationScene.started();
    scene.agent.takeCalls();
    scene.agent.tokens += 1;
    await scene.clock.advance(3_000);
    expect(scene.agent.takeCalls()).toEqual([REPORT, REGISTER, REPORT]);
    await scene.clock.advance(30_000);
    expect(scene.agent.takeCalls()).not.toContain(REGISTER);
  });
});

describe("what an earlier life left behind", () => {
  it("is tidied up: checks of another kind and our own maintenance, nothing of anybody else", async () => {
    const scene = await RegistrationScene.started(
      {},
      {
        prepare: ({ agent }) => {
          agent.addCheck("service:web-1:consul-http", "web-1");
          agent.addCheck("service:web-1", "web-1");
          agent.addCheck("app-own", "web-1");
          agent.addCheck("service:web-1:consul-tcp", "another");
          agent.addCheck("_service_maintenance:web-1", "web-1", "pilotfish is stopped");
        },
      },
    );
    expect([...scene.agent.checks.keys()].sort()).toEqual([
      "app-own",
      "service:web-1",
      "service:web-1:consul-tcp",
      CHECK,
    ]);
  });

  it("stays where an operator put it into maintenance", async () => {
    const scene = await RegistrationScene.started(
      {},
      { prepare: ({ agent }) => agent.addCheck("_service_maintenance:web-1", "web-1", "by hand") },
    );
    await scene.clock.advance(60_000);
    expect(scene.agent.checks.has("_service_maintenance:web-1")).toBe(true);
  });
});

describe("the stop", () => {
  it("deregisters and is done; nothing is called afterwards", async () => {
    const scene = await RegistrationScene.started();
    scene.agent.takeCalls();
    await scene.registration.stop();
    expect(scene.agent.takeCalls()).toEqual([DEREGISTER]);
    expect(scene.agent.services.size).toBe(0);
    expect(scene.agent.isClosed).toBe(true);
    expect(scene.clock.pendingTimers()).toBe(0);
    await scene.clock.advance(60_000);
    expect(scene.agent.calls).toEqual([]);
    expect(scene.messages().at(-1)).toBe("service deregistered");
    await scene.registration.stop();
    expect(scene.agent.calls).toEqual([]);
  });

  it("puts it into maintenance where that is asked for, and the next start takes it out", async () => {
    const scene = await RegistrationScene.started({ shutdown: "maintenance" });
    await scene.registration.stop();
    expect(scene.agent.checks.get("_service_maintenance:web-1")?.Notes).toBe("pilotfish is stopped");
    expect(scene.agent.services.has("web-1")).toBe(true);
    const next = await RegistrationScene.started(
      {},
      {
        prepare: ({ agent }) => {
          for (const [id, check] of scene.agent.checks) agent.checks.set(id, check);
        },
      },
    );
    expect(next.agent.checks.has("_service_maintenance:web-1")).toBe(false);
  });

  it("before the start sends nothing, and a start after it neither", async () => {
    const scene = new RegistrationScene(serviceConfig());
    await scene.registration.stop();
    scene.registration.start([]);
    await scene.clock.advance(10_000);
    expect(scene.agent.calls).toEqual([]);
  });

  it("waits two seconds and no longer for an agent that hangs", async () => {
    const scene = await RegistrationScene.started();
    scene.agent.fault = () => "hang";
    let isOver = false;
    void scene.registration.stop().then(() => {
      isOver = true;
    });
    await scene.clock.advance(1_990);
    expect(isOver).toBe(false);
    await scene.clock.advance(20);
    expect(isOver).toBe(true);
    expect(scene.reasons()).toEqual(["the agent did not answer within 2000 ms"]);
    expect(scene.clock.pendingTimers()).toBe(0);
    expect(scene.agent.open).toBe(0);
  });

  it("tries again while there is time", async () => {
    const scene = await RegistrationScene.started();
    scene.agent.takeCalls();
    let failures = 0;
    scene.agent.fault = () => (failures++ < 2 ? refused : undefined);
    const over = scene.registration.stop();
    await scene.clock.advance(700);
    await over;
    expect(scene.agent.takeCalls()).toEqual([DEREGISTER, DEREGISTER, DEREGISTER]);
    expect(scene.agent.services.size).toBe(0);
  });

  it("gives up in time where the agent is away", async () => {
    const scene = await RegistrationScene.started();
    scene.agent.fault = () => refused;
    let isOver = false;
    void scene.registration.stop().then(() => {
      isOver = true;
    });
    await scene.clock.advance(2_000);
    expect(isOver).toBe(true);
    expect(scene.reasons()).toEqual(["connect ECONNREFUSED 127.0.0.1:8500"]);
    expect(scene.clock.pendingTimers()).toBe(0);
  });

  it("does not try again what is forbidden", async () => {
    const scene = await RegistrationScene.started();
    scene.agent.takeCalls();
    scene.agent.fault = () => refusal(403, "Permission denied");
    await scene.registration.stop();
    expect(scene.agent.takeCalls()).toEqual([DEREGISTER]);
    expect(scene.reasons()).toEqual([expect.stringContaining('service:write on "web"')]);
  });

  it("is well where the agent does not know it any more", async () => {
    const scene = await RegistrationScene.started({ shutdown: "maintenance" });
    scene.agent.forget();
    await scene.registration.stop();
    expect(scene.messages("warn")).toEqual([]);
  });

  it("lets a registration under way arrive before it takes it back", async () => {
    const answers: ((answer: ConsulAnswer) => void)[] = [];
    const scene = new RegistrationScene(serviceConfig());
    const serve = scene.agent.request;
    Object.assign(scene.agent, {
      request: (request: Parameters<typeof serve>[0]) =>
        request.path.endsWith("/register")
          ? new Promise<ConsulAnswer>((resolve) => answers.push(resolve)).then(() => serve(request))
          : serve(request),
    });
    scene.registration.start([]);
    const over = scene.registration.stop();
    await settled();
    expect(scene.agent.calls).toEqual([]);
    answers[0]?.(refused);
    await over;
    expect(scene.agent.takeCalls()).toEqual([REGISTER, DEREGISTER]);
    expect(scene.agent.services.size).toBe(0);
  });

  it("cuts a report short that hangs", async () => {
    const scene = await RegistrationScene.started();
    scene.agent.fault = ({ path }) => (path.includes("/update/") ? "hang" : undefined);
    await scene.clock.advance(3_100);
    expect(scene.agent.open).toBe(1);
    await scene.registration.stop();
    expect(scene.agent.open).toBe(0);
    expect(scene.agent.services.size).toBe(0);
  });

  it("by abort is at once and tells nobody", async () => {
    const scene = await RegistrationScene.started();
    scene.agent.takeCalls();
    scene.registration.abort();
    await scene.clock.advance(60_000);
    expect(scene.agent.calls).toEqual([]);
    expect(scene.clock.pendingTimers()).toBe(0);
    expect(scene.probe.running).toBe(0);
  });
});

describe("whatever the agent does", () => {
  const answers = fc.constantFrom<ConsulAnswer | "hang" | "forget" | "rotate" | "well">(
    "well",
    "hang",
    "forget",
    "rotate",
    refused,
    refusal(403, "Permission denied"),
    refusal(404),
    refusal(500, "rpc error"),
    refusal(429, "", 3_000),
    { kind: "ok", status: 200, headers: {}, body: "<html>" },
  );
  const story = fc.array(
    fc.record({ answer: answers, ms: fc.nat(8_000), status: fc.constantFrom(200, 429, 500) }),
    {
      maxLength: 12,
    },
  );

  it("one call is open at a time, none is repeated in haste, and soon after all is told as it is", async () => {
    await fc.assert(
      fc.asyncProperty(story, fc.nat(), async (steps, seed) => {
        const scene = new RegistrationScene(serviceConfig(), {}, seededRandom(seed));
        scene.registration.start([]);
        for (const { answer, ms, status } of steps) {
          scene.probe.answer = status;
          if (answer === "forget") scene.agent.forget();
          if (answer === "rotate") scene.agent.tokens += 1;
          const isFault = typeof answer === "object" || answer === "hang";
          scene.agent.fault = () => (isFault ? answer : undefined);
          await scene.clock.advance(ms);
        }
        const spentMs = steps.reduce((sum, { ms }) => sum + ms, 0);
        // A wild agent may cost two calls per probe that flips and two per try; never a busy loop.
        expect(scene.agent.calls.length).toBeLessThan(20 + (spentMs / 1_000) * 10);
        scene.agent.fault = () => undefined;
        await scene.clock.advance(20_000);
        const last = steps.at(-1)?.status ?? 200;
        const expected = last === 500 ? "critical" : last === 429 ? "warning" : "passing";
        expect(scene.agent.checks.get(CHECK)?.Status).toBe(expected);
        expect(scene.agent.services.get("web-1")).toMatchObject({ Port: 5001 });
        expect(scene.registration.status()?.isUp).toBe(true);
        expect(scene.agent.openMax).toBe(1);
        await scene.registration.stop();
        expect(scene.agent.services.size).toBe(0);
        expect(scene.clock.pendingTimers()).toBe(0);
      }),
      { numRuns: 60 },
    );
  });
});
