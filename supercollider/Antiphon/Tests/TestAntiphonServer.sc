// Against a server with the patch `keys` (`antiphon serve --audio headless --patch keys`), on port ANTIPHON_PORT, or 4400.
TestAntiphonServer : UnitTest {
	var a;

	setUp {
		a = Antiphon.local(("ANTIPHON_PORT".getenv ? "4400").asInteger);
		this.assert(a.whenReady(timeout: 10), "the server answers");
		a.load("keys");
		a.sync;
	}
	tearDown { a.free }

	test_ping_status_version {
		var status = a.status;
		this.assert(a.ping < 1, "there and back");
		this.assert(status[\sampleRate] > 8000, "a rate");
		this.assert(status[\blocks] > 0 and: { status[\surfaces].isInteger }, "the counts");
		this.assert("^\\d+\\.\\d+\\.\\d+".matchRegexp(a.version), "a version: %".format(a.version));
		this.assertEquals(Antiphon.local(4401).ping(timeout: 0.2), nil, "nobody there: nil");
		Antiphon.local(4401).free;
	}

	test_lists {
		this.assert(a.nodes.includesEqual(\keys -> \synth), "nodes");
		this.assert(a.plugins.collect(_.key).includes(\filter), "plugins");
		this.assert(a.patches.includes(\keys), "patches");
	}

	test_set_ramp_get {
		a[\keys].set(\level, -6, \wet, 0.5);
		a.sync;
		this.assertEquals(a[\keys].get(\level), -6.0, "set");
		this.assertEquals(a[\keys].get(\wet), 0.5, "in one bundle");
		a[\keys].ramp(\level, -20, 0.2);
		0.5.wait;
		this.assertEquals(a[\keys].get(\level), -20.0, "ramped");
		a[\keys].bypass;
		a.sync;
		this.assertEquals(a[\keys].get(\bypass), 1, "a switch");
	}

	test_nodes_come_and_go {
		a.add(\filter, \tone, \keys).set(\mode, \highpass, \cutoff, 900);
		a.sync;
		this.assert(a.nodes.includesEqual(\tone -> \filter), "added");
		this.assertEquals(a[\tone].get(\cutoff), 900.0, "and set");
		a[\tone].remove;
		a.sync;
		this.assert(a.nodes.includesEqual(\tone -> \filter).not, "taken out");
		this.assertEquals(a.undo.size, 1, "undone");
		this.assert(a.nodes.includesEqual(\tone -> \filter), "there again");
	}

	test_scenes_and_patches {
		a[\keys].set(\level, -3);
		a.sync;
		this.assertEquals(a.store(5), [5], "stored");
		a[\keys].set(\level, -30);
		a.sync;
		a.recall(5);
		a.sync;
		0.1.wait;
		this.assertEquals(a[\keys].get(\level), -3.0, "recalled");
		this.assertEquals(a.save("quarktest"), [\quarktest], "saved");
		this.assert(a.patches.includes(\quarktest), "in the list");
	}

	test_tempo_and_beat {
		a.setTempo(90);
		a.sync;
		this.assertEquals(a.getTempo, 90.0, "tempo");
		a.goToBeat(16).stop;
		a.sync;
		this.assertEquals(a.getBeat, 16.0, "beat");
		a.play;
	}

	test_what_subscribers_are_told {
		var beats = 0, meters = 0;
		a.onBeat { beats = beats + 1 };
		a[\keys].onMeter { |peak| if(peak > 0.001) { meters = meters + 1 } };
		this.assertEquals(a.subscribe.size, 1, "a number");
		a.setTempo(300).play(0);
		a[\keys].noteOn(60, 100);
		0.7.wait;
		a[\keys].noteOff(60);
		this.assert(beats >= 2, "beats: %".format(beats));
		this.assert(meters >= 3, "meters: %".format(meters));
		a.unsubscribe;
		a.sync;
		beats = 0;
		0.4.wait;
		this.assertEquals(beats, 0, "and no more");
	}

	test_failures_come_back {
		var said;
		a.onFail { |address, reason| said = [address, reason] };
		a[\nobody].set(\x, 1);
		0.2.wait;
		this.assertEquals(said[0], '/node/nobody/x', "its address");
		this.assert(said[1].asString.size > 10, "and why");
		this.assertEquals(a[\keys].get(\nothing), nil, "a question that fails: nil");
		this.assertEquals(a.load("no such patch"), nil, "an order that fails: nil");
		a[\keys].set(\level, -6);
		a[\keys].set(\level, \loud);
		this.assertEquals(a[\keys].get(\level), -6.0, "a question behind a set that fails: the value");
		a[\keys].set(\nothing, 1);
		this.assertEquals(a[\keys].get(\nothing), nil, "and nil where both fail");
	}

	test_a_bundle_takes_effect_at_its_time {
		a[\keys].set(\level, -1);
		a.sync;
		a.sched(0.4) { a[\keys].set(\level, -9) };
		0.1.wait;
		this.assertEquals(a[\keys].get(\level), -1.0, "not yet");
		0.5.wait;
		this.assertEquals(a[\keys].get(\level), -9.0, "now");
	}
}
