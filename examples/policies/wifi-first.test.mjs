export default function tests({ test, policy, Stage, assert }) {
  const begin = () => {
    const stage = new Stage({ policy, locals: 2, given: { above: 300, hold_down: 5000 } });
    stage.pass(1000);
    return stage;
  };

  test("the first path carries the data, the second waits", () => {
    assert.equal(begin().backups, "1>0");
  });

  test("above 300 ms the second takes over, and the first is back when it was good for 5 s", () => {
    const stage = begin();
    stage.measure({ "0>0": { rtt: 299 } });
    assert.equal(stage.backups, "1>0");
    stage.measure({ "0>0": { rtt: 301 } });
    assert.equal(stage.backups, "0>0");
    stage.pass(4900);
    stage.measure();
    assert.equal(stage.backups, "0>0");
    stage.pass(200);
    stage.measure();
    assert.equal(stage.backups, "1>0");
  });

  test("the first path is lost: the second takes over at once", () => {
    const stage = begin();
    stage.removeAddress(0);
    assert.equal(stage.subflows, "1>0");
    assert.equal(stage.backups, "");
  });
}
