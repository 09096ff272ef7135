export default function tests({ test, policy, Stage, assert }) {
  test("each path is tried, and the one that carries most is used most", () => {
    const stage = new Stage({ policy, locals: 3, given: { turn: 1000, curiosity: 0.3 } });
    stage.pass(1000);
    const speeds = { "0>0": 100, "1>0": 1000, "2>0": 300 };
    const turns = { "0>0": 0, "1>0": 0, "2>0": 0 };
    const carried = { "0>0": 0, "1>0": 0, "2>0": 0 };
    for (let step = 0; step < 400; step++) {
      stage.pass(250);
      const active = Object.keys(speeds).find((name) => !stage.backups.split(" ").includes(name));
      turns[active]++;
      carried[active] += 250 * speeds[active];
      stage.measure(
        Object.fromEntries(
          Object.entries(carried).map(([name, bytesAcked]) => [name, { bytesAcked, bytesReceived: 0 }]),
        ),
      );
    }
    assert.ok(turns["0>0"] > 0 && turns["2>0"] > 0, JSON.stringify(turns));
    assert.ok(turns["1>0"] > 200, JSON.stringify(turns));
  });

  test("the path in use is lost: another is used at once", () => {
    const stage = new Stage({ policy, locals: 2 });
    stage.pass(1000);
    const active = stage.backups === "1>0" ? 0 : 1;
    stage.removeAddress(active);
    assert.equal(stage.backups, "");
  });
}
