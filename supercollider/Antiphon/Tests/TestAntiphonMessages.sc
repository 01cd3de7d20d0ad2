// An address that keeps what is sent to it: of [time or nil, message, ...]; nil for a message outside a bundle.
AntiphonTestAddr {
	var <sent, <port, <addr = 1, <hostname = "test";
	*new { |port| ^super.newCopyArgs([], port) }
	sendMsg { |... msg| sent = sent.add([nil, msg]) }
	sendBundle { |time ... msgs| sent = sent.add([time !? { thisThread.seconds + time } ? \now] ++ msgs) }
	clear { sent = [] }
	ip { ^hostname }
	// [milliseconds since begin, message], bundles taken apart
	flat { |begin|
		^sent.collect { |each|
			each[1..].collect { |msg| [if(each[0].isNumber) { ((each[0] - begin) * 1e6).round.asInteger / 1000 } { each[0] }, msg] }
		}.flatten(1)
	}
}

// What goes out. Needs no server.
TestAntiphonMessages : UnitTest {
	classvar count = 0;
	var addr, a;

	setUp {
		count = count + 1;
		addr = AntiphonTestAddr(count);
		a = Antiphon(addr);
	}
	tearDown { a.free }

	// by the machine's time: a Routine's own falls behind while it computes
	pause { |seconds|
		var end = Main.elapsedTime + seconds;
		while { Main.elapsedTime < end } { 0.01.wait }
	}

	played { |events, wait = 0.05, tempo = 10|
		var clock = TempoClock(tempo), begin, out;
		clock.sched(0, { begin = thisThread.seconds; if(events.isKindOf(Event)) { [events] } { events }.do { |event| event.putAll((antiphon: a)).play }; nil });
		this.pause(wait);
		out = addr.flat(begin);
		clock.stop;
		^out
	}

	test_one_object_for_an_address {
		this.assert(Antiphon(addr) === a, "the same address, the same object");
		this.assert(Antiphon.at("127.0.0.1", 4455) === Antiphon.local(4455), "however it is written");
		Antiphon.local(4455).free;
	}

	test_methods_send_their_messages {
		a.node(\filter).set(\cutoff, 800);
		a.node(\filter).ramp(\cutoff, 200, 2);
		a[\keys].noteOn(60, 100);
		a[\keys].noteOff(60);
		a[\keys].cc(64, 1.0).bend(-0.5);
		a.add(\delay, \echo, \filter).connect(\out);
		a.morph(3, 8).setTempo(90, 4);
		a[\keys].bypass;
		a[\filter].norm(\q, 0.5);
		a.panic;
		this.assertEquals(addr.sent.collect(_[1]), [
			['/node/filter/cutoff', 800], ['/node/filter/cutoff', 200, 2], ['/note/on', 60, 100, 1, \keys],
			['/note/off', 60, 0, 1, \keys], ['/cc', 64, 1.0, 1, \keys], ['/bend', -0.5, 1, \keys],
			['/node/add', \delay, \echo, \filter], ['/node/connect', \echo, \out], ['/scene/recall', 3, 8], ['/tempo', 90.0, 4],
			['/node/keys/bypass', 1], ['/node/filter/q/norm', 0.5], ['/panic']
		], "each as docs/osc.md has it");
		this.assert(addr.sent.every { |each| each[0].isNil }, "at once");
	}

	test_functions_may_come_in_the_place_of_a_fade {
		a.load(\keys) { };
		a.reload { };
		a.load(\keys, 2) { };
		a.record { };
		a.connect(a[\x], a[\y]);
		this.assertEquals(addr.sent.collect(_[1]).reject { |msg| msg[0] == '/sync' }, [['/patch/load', \keys], ['/patch/reload'], ['/patch/load', \keys, 2], ['/record/start'],
			['/node/connect', \x, \y]], "as a block behind the call");
	}

	test_what_no_message_can_hold_is_said {
		this.assertException({ a[\f].set(\cutoff, [1, 2]) }, Error, "an array");
		this.assertException({ a[\f].set(\cutoff, inf) }, Error, "infinity");
		this.assertException({ a[\f].set(\cutoff, 0 / 0) }, Error, "not a number");
		this.assertException({ a[\f].set(\cutoff) }, Error, "a name without a value");
		this.assertEquals(addr.sent.size, 0, "nothing is sent");
	}

	test_sched_makes_one_bundle_and_timed_bundles_all {
		a.sched(0.5) { a[\f].set(\cutoff, 1); a[\k].noteOn(60, 1) };
		this.assertEquals(addr.sent.size, 1, "one bundle");
		this.assertEquals(addr.sent[0][1..], [['/node/f/cutoff', 1], ['/note/on', 60, 1, 1, \k]], "in order");
		try { a.sched(0.5) { Error("in between").throw } };
		a.timed = true;
		a[\f].set(\cutoff, 2);
		this.assert(addr.sent[1][0].notNil, "in a bundle");
		this.assertEquals(addr.sent.size, 2, "after an error sched is over");
	}

	test_a_note_begins_and_ends_by_its_time {
		var out = this.played((type: \antiphon, node: \keys, degree: 2, dur: 0.5, legato: 0.5, velocity: 77));
		this.assertEquals(out, [[200, ['/note/on', 64, 77, 1, \keys]], [225, ['/note/off', 64, 0, 1, \keys]]], "0.25 beats");
	}

	test_a_node_may_stand_for_its_name {
		this.assertEquals(this.played((type: \antiphon, node: a[\keys], midinote: 60, sustain: 0.1))[0][1].last, \keys, "a note");
		addr.clear;
		this.assertEquals(this.played((type: \antiphonSet, node: [a[\x], \y], cutoff: 5)).collect { |each| each[1][0] },
			['/node/x/cutoff', '/node/y/cutoff'], "a value");
	}

	test_velocity_comes_from_amp_without_one {
		var of = { |event| this.played(event.putAll((type: \antiphon, node: \k, sustain: 0.01)))[0][1][2] };
		this.assertEquals(of.((amp: 0.5)), 64, "amp");
		addr.clear;
		this.assertEquals(of.((db: -6)), 64, "db");
		addr.clear;
		this.assertEquals(of.(()), 90, "neither");
		addr.clear;
		this.assertEquals(this.played((type: \antiphon, node: \k, amp: 0)), [], "silence is no note");
	}

	test_a_chord_is_one_bundle_and_a_strum_is_not {
		this.played((type: \antiphon, node: \k, degree: [0, 2, 4], velocity: [10, 20, 30], sustain: 0.1));
		this.assertEquals(addr.sent.size, 2, "one for the beginning, one for the end");
		this.assertEquals(addr.sent[0][1..].collect { |m| m[1..2] }, [[60, 10], [64, 20], [67, 30]], "each its velocity");
		this.assertEquals(addr.sent[1].size, 4, "three ends");
		addr.clear;
		this.assertEquals(this.played((type: \antiphon, node: \k, degree: [0, 2, 4], strum: 0.1, sustain: 0.1)).collect(_[0]).sort,
			[200, 210, 210, 220, 220, 230], "a tenth of a beat between them");
	}

	test_arrays_of_nodes_channels_and_lasting {
		var out = this.played((type: \antiphon, node: [\a, \b], channel: [1, 2], midinote: 50, sustain: [0.1, 0.2]));
		this.assertEquals(out.collect { |each| [each[0], each[1][0], each[1][4]] }, [[200, '/note/on', \a], [200, '/note/on', \b],
			[210, '/note/off', \a], [220, '/note/off', \b]], "each its own");
	}

	test_rests_and_timing {
		this.assertEquals(this.played((type: \antiphon, node: \k, degree: Rest())), [], "Rest()");
		this.assertEquals(this.played((type: \antiphon, node: \k, degree: \rest)), [], "\\rest");
		this.assertEquals(this.played((type: \antiphon, node: \k, lag: 0.1, timingOffset: 0.5, latency: 0.3, sustain: 0.1))[0][0], 450,
			"latency, lag in seconds and timingOffset in beats");
	}

	test_the_same_key_again_ends_the_first_and_lasts_its_own {
		var out = this.played([(type: \antiphon, node: \k, midinote: 60, sustain: 0.1),
			(type: \antiphon, node: \k, midinote: 60, sustain: 0.3)], 0.1);
		this.assertEquals(out.collect { |each| [each[0], each[1][0]] }, [[200, '/note/on'], [200, '/note/off'], [200, '/note/on'],
			[230, '/note/off']], "no end is left over");
	}

	test_legato_1_on_one_key {
		var clock = TempoClock(10), begin, out;
		clock.sched(0, { begin = thisThread.seconds; Pbind(\type, \antiphon, \antiphon, a, \node, \k, \midinote, 60, \dur, Pseq([0.5, 0.5, 0.5]),
			\legato, 1).play(clock, quant: 0); nil });
		this.pause(0.4);
		clock.stop;
		out = addr.flat(begin).collect { |each| [each[0], each[1][0]] };
		this.assertEquals(out, [[200, '/note/on'], [250, '/note/off'], [250, '/note/on'], [300, '/note/off'], [300, '/note/on'],
			[350, '/note/off']], "an end never comes behind the beginning of the next");
	}

	test_cmd_period_ends_what_sounds_but_not_before_it_began {
		var out;
		(type: \antiphon, antiphon: a, node: \k, midinote: 60, sustain: 100).play;
		this.assertEquals(addr.sent.size, 1, "it sounds");
		a.cmdPeriod;
		out = addr.sent.last;
		this.assertEquals(out[1][0], '/note/off', "an end");
		this.assert(out[0] >= addr.sent[0][0], "behind its beginning");
		this.assertEquals(a.keys.size, 0, "none is left");
	}

	test_a_clock_that_stops_ends_its_notes {
		var clock = TempoClock(1), other = TempoClock(1);
		[clock, other].do { |each, i|
			each.sched(0, { (type: \antiphon, antiphon: a, node: \k, midinote: 60 + i, sustain: 100).play; nil })
		};
		this.pause(0.05);
		clock.stop;
		this.assertEquals(addr.sent.collect { |each| each[1][0..1] }.sort { |x, y| x[1] < y[1] or: { x[1] == y[1] and: { x[0] > y[0] } } },
			[['/note/on', 60], ['/note/off', 60], ['/note/on', 61]], "its own");
		other.stop;
	}

	test_no_end_when_none_is_wanted {
		var out = this.played([(type: \antiphon, node: \k, midinote: 60, sustain: inf), (type: \antiphon, node: \k, midinote: 61,
			sendGate: false, sustain: 0.1)]);
		this.assertEquals(out.collect { |each| each[1][0] }, ['/note/on', '/note/on'], "a drone");
	}

	test_events_set_parameters {
		this.assertEquals(this.played((type: \antiphonSet, node: \filter, cutoff: 500, mode: \highpass, degree: 3, dur: 1)),
			[[200, ['/node/filter/cutoff', 500]], [200, ['/node/filter/mode', \highpass]]], "those that are no event's own");
		addr.clear;
		this.assertEquals(this.played((type: \antiphonSet, node: [\a, \b], args: [\scale], scale: \minor, ramp: 0.5)),
			[[200, ['/node/a/scale', \minor, 0.5]], [200, ['/node/b/scale', \minor, 0.5]]], "or those that args names");
	}

	test_events_move_controllers {
		this.assertEquals(this.played([(type: \antiphonCC, node: \k, ctlNum: 64, control: 1.0), (type: \antiphonBend, node: \k, bend: 0.5)]),
			[[200, ['/cc', 64, 1.0, 1, \k]], [200, ['/bend', 0.5, 1, \k]]], "by their time");
	}

	test_what_it_is_told {
		var got = [], value = { |n, p, v| got = got.add([n, p, v]) };
		a.on(\value, value).onBeat { |b| got = got.add(b) };
		a[\filter].on(\cutoff) { |v| got = got.add(v) };
		a.receive(['/node/filter/cutoff', 300.0]);
		a.receive(['/beat', 4]);
		this.assertEquals(got, [[\filter, \cutoff, 300.0], 300.0, 4], "functions are called");
		this.assertEquals(a[\filter].told(\cutoff), 300.0, "the value is kept");
		a.off(\value, value).off(\beat);
		a.receive(['/node/filter/cutoff', 400.0]);
		a.receive(['/beat', 5]);
		this.assertEquals(got.drop(3), [400.0], "what was taken off is not");
	}

	test_a_subscription_is_renewed_until_it_ends {
		var asked = { addr.sent.count { |each| each[1] == ['/notify', 1] } }, before;
		a.renewEvery = 0.05;
		a.subscribe({ });
		a.cmdPeriod; // which clears clocks, but not this
		this.pause(0.28);
		this.assert(asked.value.inclusivelyBetween(4, 7), "once and again: %".format(asked.value));
		a.unsubscribe;
		this.pause(0.1);
		before = asked.value;
		this.pause(0.2);
		this.assertEquals(asked.value, before, "and no more");
	}

	test_failures_do_not_flood {
		20.do { |i| a.receive(['/late', '/note/on', 0.01 * i + 0.01]); a.receive(['/fail', '/x', 'no such address']) };
		this.assertEquals([a.failures, a.lates], [20, 20], "all counted");
		this.assertEquals(a.posted, 2, "two lines");
	}

	test_failures_are_counted {
		a.receive(['/fail', '/x', 'no such address']);
		a.receive(['/late', '/note/on', 0.02]);
		this.assertEquals([a.failures, a.lates], [1, 1], "each");
	}

	test_it_leads_antiphon_by_its_clock {
		var clock = TempoClock(10, 0.5);
		a.lead(clock);
		this.pause(0.1);
		clock.tempo = 5;
		clock.stop;
		this.pause(0.05);
		this.assertEquals(addr.sent.collect { |each| each[1..] }, [[['/tempo', 600.0], ['/transport/play', 1.0]], [['/tempo', 300.0]],
			[['/transport/stop']]], "from a whole beat on, then each change");
		this.assert(addr.sent.every { |each| each[0].isNumber }, "in bundles");
	}

	test_jack_ports_of_a_bus {
		this.assertEquals(AntiphonJack.into(2).collect { |p| [p.key, p.value] }, [["SuperCollider:out_3", "antiphon:in_1"],
			["SuperCollider:out_4", "antiphon:in_2"]], "bus 2 is output 3");
		this.assertEquals(AntiphonJack.commands(AntiphonJack.back(0, 1)), ["jack_connect 'antiphon:out_1' 'SuperCollider:in_1'"], "by JACK's program");
		this.assertException({ AntiphonJack.insert(Server.default, 100) }, Error, "a bus that is no port");
	}
}
