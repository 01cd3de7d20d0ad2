// A running Antiphon server: one object for each address.
Antiphon {
	classvar <all, default;
	var <addr, <>latency = 0.2, <>timed = false;
	var <subscribed = false, <values, <tempo, <beat, <keys, <failures = 0, <lates = 0, <posted = 0;
	var <>patience = 2.0, <>renewEvery = 10, bundle, waiting, actions, receiver, told, asked = 0, leading, renewal = 0;

	*initClass {
		all = List.new;
		ShutDown.add { all.do { |one| one.keys.endAll } };
	}

	*local { |port = 4400| ^this.at("127.0.0.1", port) }
	*at { |hostname = "127.0.0.1", port = 4400| ^this.new(NetAddr(hostname, port)) }
	*default { ^default ?? { default = this.local } }
	*default_ { |one| default = one }

	// the object there is for that address, so that evaluating a line again does not listen twice
	*new { |addr|
		var there;
		addr = addr ?? { NetAddr("127.0.0.1", 4400) };
		there = all.detect { |one| one.addr == addr };
		^there ?? { super.newCopyArgs(addr).init }
	}

	init {
		values = IdentityDictionary.new;
		actions = IdentityDictionary.new;
		waiting = List.new;
		told = IdentityDictionary.new;
		keys = AntiphonKeys(this);
		receiver = { |msg, time, from|
			if(from.port == addr.port and: { from.addr == addr.addr }) { this.receive(msg) }
		};
		thisProcess.addOSCRecvFunc(receiver);
		CmdPeriod.add(this);
		all.add(this);
	}

	// ends its notes and listens no more
	free {
		keys.endAll;
		this.unlead;
		if(subscribed) { this.unsubscribe };
		thisProcess.removeOSCRecvFunc(receiver);
		CmdPeriod.remove(this);
		all.remove(this);
		if(default === this) { default = nil };
	}

	cmdPeriod {
		keys.endAll;
		if(subscribed) { this.prRenew }
	}

	// ---- sending

	// inside sched it goes into that bundle; with timed it goes in one of its own, latency ahead
	sendMsg { |... msg|
		msg = this.class.clean(msg);
		case
		{ bundle.notNil } { bundle = bundle.add(msg) }
		{ timed } { addr.sendBundle(latency, msg) }
		{ addr.sendMsg(*msg) }
	}

	sendBundle { |time ... msgs|
		msgs = msgs.collect { |msg| this.class.clean(msg) };
		if(bundle.notNil) {
			bundle = bundle.addAll(msgs)
		} {
			// a datagram holds 65,507 bytes; these are well below a hundred each
			msgs.clump(200).do { |some| addr.sendBundle(time, *some) }
		}
	}

	// all that func sends goes as bundles of that many seconds ahead; func must not wait
	sched { |delta, func|
		var outer = bundle, mine;
		bundle = [];
		protect { func.value(this) } { mine = bundle; bundle = outer };
		if(mine.notEmpty) { this.sendBundle(delta ? latency, *mine) }
	}

	// nil would go out as 0, an array as a blob, a character as a tag that no standard knows
	*clean { |msg|
		^msg.reject(_.isNil).collect { |each|
			if(each.isKindOf(Function)) { each = each.value };
			each = AntiphonNode.nameOf(each);
			if(each.isKindOf(Boolean)) { each = each.binaryValue };
			if(each.isKindOf(Char)) { each = each.asString };
			if(each.isSequenceableCollection and: { each.isString.not }) {
				Error("Antiphon: % takes one value at a time, not %".format(msg[0], each)).throw
			};
			if(each.isNumber and: { each.isInteger.not } and: { each.isNaN or: { each.abs == inf } }) {
				Error("Antiphon: % takes no %".format(msg[0], each)).throw
			};
			each
		}
	}

	// ---- asking

	// sends msg and waits for an answer. answer: takes an OSC message, gives the result, or nil when it is not the answer.
	// With an action: calls it, with nil where nothing came. In a Routine: waits and returns. Else: posts.
	// A /fail of that address may be of a message before: it stands once /sync, sent behind msg, is answered without more.
	ask { |msg, answer, action, timeout|
		var entry, condition, result, open = true, finish;
		msg = this.class.clean(msg);
		finish = { |value|
			if(open) {
				open = false;
				result = value;
				waiting.remove(entry);
				if(condition.notNil) { condition.test = true; condition.signal } { action.value(value) }
			}
		};
		if(action.isNil) {
			if(thisThread.isKindOf(Routine)) { condition = Condition.new(false) } { action = { |value| value.postln } }
		};
		entry = (address: msg[0].asSymbol, answer: answer, finish: finish, failed: false, synced: UniqueID.next);
		waiting.add(entry);
		addr.sendMsg(*msg);
		addr.sendMsg('/sync', entry[\synced]);
		SystemClock.sched(timeout ? patience, {
			if(open) {
				this.tell(\silent, "% does not answer %".format(this, msg[0]));
				finish.value(nil)
			};
			nil
		});
		if(condition.notNil) { condition.wait; ^result }
	}

	askFor { |reply, msg, action, timeout|
		^this.ask(msg, { |said| if(said[0] == reply) { said[1..] } }, action, timeout)
	}

	// what is answered /done: gives what stands behind the address, or nil
	order { |msg, action, timeout|
		var address = msg[0].asSymbol;
		^this.ask(msg, { |said| if(said[0] == '/done' and: { said[1] == address }) { said[2..] } }, action, timeout ? 20)
	}

	// seconds there and back
	ping { |action, timeout = 1|
		var id = this.nextAsked, begun = Main.elapsedTime;
		^this.ask(['/ping', id], { |said|
			if(said[0] == '/pong' and: { said[1] == id }) { Main.elapsedTime - begun }
		}, action, timeout)
	}

	nextAsked { ^asked = asked + 1 }

	// once it answers. In a Routine without onReady: waits, and tells whether it does
	whenReady { |onReady, timeout = 10, onFailure|
		var try = {
			var begun = Main.elapsedTime, there = false;
			while { there.not and: { Main.elapsedTime - begun < timeout } } {
				there = this.answers(0.5);
			};
			there
		};
		if(onReady.isNil and: { thisThread.isKindOf(Routine) }) { ^try.value };
		fork {
			if(try.value) { onReady.value(this) } {
				"Antiphon: nothing answers at % within % s: is the server running (antiphon serve)?"
				.format(this.place, timeout).warn;
				onFailure.value(this)
			}
		}
	}

	// like ping in a Routine, without a word when nothing comes
	answers { |timeout = 0.5|
		var id = this.nextAsked, condition = Condition.new(false), there = false, entry;
		entry = (address: '/ping', answer: { |said| said[0] == '/pong' and: { said[1] == id } or: { nil } },
			finish: { |value| there = value == true; condition.test = true; condition.signal });
		waiting.add(entry);
		addr.sendMsg('/ping', id);
		SystemClock.sched(timeout, { condition.test = true; condition.signal; nil });
		condition.wait;
		waiting.remove(entry);
		^there
	}

	// all sent before has taken effect
	sync { |action, timeout|
		var id = UniqueID.next;
		^this.ask(['/sync', id], { |said| if(said[0] == '/synced' and: { said[1] == id }) { true } }, action, timeout)
	}

	status { |action, timeout|
		^this.ask(['/status'], { |said|
			if(said[0] == '/status.reply') {
				(nodes: said[2], types: said[5], load: said[6], peak: said[7], sampleRate: said[9]).putPairs(
					[\blocks, \missedBlocks, \lateBlocks, \late, \oscReceived, \oscDropped, \oscFailed, \engineRestarts,
					\deviceXruns, \scheduleDropped, \commandsDropped, \scheduled, \surfaces].collect { |name, i|
						[name, said[10 + i]]
					}.flat)
			}
		}, action, timeout)
	}

	version { |action| ^this.ask(['/version'], { |said|
		if(said[0] == '/version.reply') { "%.%%".format(said[2], said[3], said[4]) }
	}, action) }

	// name -> type, in order
	nodes { |action| ^this.ask(['/node/list'], { |said| this.prPairs(said, '/node/list.reply') }, action) }
	// type -> what it does
	plugins { |action| ^this.ask(['/plugin/list'], { |said| this.prPairs(said, '/plugin/list.reply') }, action) }
	patches { |action| ^this.askFor('/patch/list.reply', ['/patch/list'], action) }
	setList { |action| ^this.askFor('/set/list.reply', ['/set/list'], action) }
	prPairs { |said, reply|
		^if(said[0] == reply) { said[1..].clump(2).collect { |pair| pair[0] -> pair[1] } }
	}

	// ---- nodes

	at { |name| ^AntiphonNode(this, name.asSymbol) }
	node { |name| ^this.at(name) }
	in { ^this.at(\in) }
	out { ^this.at(\out) }

	set { |node ... pairs| this.at(node).set(*pairs) }
	ramp { |node, param, value, seconds = 1| this.at(node).ramp(param, value, seconds) }
	get { |node, param, action| ^this.at(node).get(param, action) }

	add { |type, name, after| this.sendMsg('/node/add', type, name ? type, after); ^this.at(name ? type) }
	remove { |name| this.sendMsg('/node/remove', name) }
	move { |name, after| this.sendMsg('/node/move', name, after) }
	connect { |from, to| this.sendMsg('/node/connect', from, to) }
	disconnect { |from, to| this.sendMsg('/node/disconnect', from, to) }

	// ---- patches, scenes, sets

	// load(name) { … } and reload { … } do without a fade
	load { |name, fade, action|
		if(fade.isKindOf(Function)) { action = fade; fade = nil };
		^this.prOrder(['/patch/load', name, fade], action)
	}
	reload { |fade, action|
		if(fade.isKindOf(Function)) { action = fade; fade = nil };
		^this.prOrder(['/patch/reload', fade], action)
	}
	save { |name, action| ^this.prOrder(['/patch/save', name], action) }
	undo { |action| ^this.prOrder(['/patch/undo'], action) }
	redo { |action| ^this.prOrder(['/patch/redo'], action) }
	store { |scene, action| ^this.prOrder(['/scene/store', scene], action) }
	recall { |scene, beats, quantum|
		if(quantum.notNil) { beats = beats ? 0 };
		this.sendMsg('/scene/recall', scene, beats, quantum)
	}
	morph { |scene, beats = 4, quantum| this.recall(scene, beats, quantum) }
	loadSet { |name, action| ^this.prOrder(['/set/load', name], action) }
	nextPatch { this.sendMsg('/set/next') }
	previousPatch { this.sendMsg('/set/previous') }
	goToPatch { |place| this.sendMsg('/set/go', place) }

	// in a Routine they wait for it; else they go on, and a failure is posted when it comes
	prOrder { |msg, action|
		if(bundle.notNil or: { timed }) { this.sendMsg(*msg); ^this };
		if(action.isNil and: { thisThread.isKindOf(Routine).not }) { action = {} };
		^this.order(msg, action)
	}

	// ---- notes

	noteOn { |note = 60, velocity = 100, channel = 1, node| this.sendMsg('/note/on', note, velocity, channel, node) }
	noteOff { |note = 60, velocity = 0, channel = 1, node| this.sendMsg('/note/off', note, velocity, channel, node) }
	// a float from 0 to 1, or MIDI's whole number from 2 to 127
	cc { |number, value, channel = 1, node| this.sendMsg('/cc', number, value, channel, node) }
	bend { |value, channel = 1, node| this.sendMsg('/bend', value, channel, node) }
	panic { keys.forget; addr.sendMsg('/panic') }
	clearSched { keys.forget; addr.sendMsg('/clearSched') }

	// ---- time

	tempo_ { |bpm| this.setTempo(bpm) }
	setTempo { |bpm, beats| this.sendMsg('/tempo', bpm.asFloat, beats) }
	getTempo { |action| ^this.ask(['/tempo'], { |said| if(said[0] == '/tempo') { said[1] } }, action) }
	getBeat { |action| ^this.ask(['/beat'], { |said| if(said[0] == '/beat' and: { said[1].isFloat }) { said[1] } }, action) }
	play { |beat| this.sendMsg('/transport/play', beat) }
	stop { this.sendMsg('/transport/stop') }
	goToBeat { |beat| this.sendMsg('/beat', beat.asFloat) }
	// Antiphon's beat goes with the clock's from the clock's next whole beat on: a note by the clock, with latency, falls on its
	// beat there. Its tempo follows the clock's; stopping the clock stops it
	lead { |clock|
		clock = clock ? TempoClock.default;
		this.unlead;
		leading = clock;
		clock.addDependant(this);
		clock.schedAbs(clock.beats.ceil, {
			if(leading === clock) {
				this.sendBundle(latency, ['/tempo', clock.tempo * 60], ['/transport/play', clock.beats.asFloat])
			};
			nil
		})
	}
	unlead { leading !? { leading.removeDependant(this) }; leading = nil }
	update { |who, what|
		if(who === leading) {
			switch(what,
				\tempo, { this.sendBundle(latency, ['/tempo', who.tempo * 60]) },
				\stop, { this.sendBundle(latency, ['/transport/stop']); this.unlead }
			)
		}
	}
	record { |name, action|
		if(name.isKindOf(Function)) { action = name; name = nil };
		^this.prOrder(['/record/start', name], action)
	}
	stopRecording { this.sendMsg('/record/stop') }

	// ---- being told

	subscribe { |action|
		subscribed = true;
		this.prRenew;
		^this.prOrder(['/notify', 1], action)
	}
	// a server that was started anew knows nobody, and one on another machine forgets who is silent for 300 s
	prRenew {
		var mine = renewal = renewal + 1;
		SystemClock.sched(renewEvery, { if(subscribed and: { renewal == mine }) { addr.sendMsg('/notify', 1); renewEvery } })
	}
	unsubscribe { subscribed = false; addr.sendMsg('/notify', 0) }

	on { |what, func| actions[what] = actions[what].addFunc(func) }
	off { |what, func| actions[what] = if(func.notNil) { actions[what].removeFunc(func) } }
	onValue { |func| this.on(\value, func) }
	onBeat { |func| this.on(\beat, func) }
	onMeter { |func| this.on(\meter, func) }
	onFail { |func| this.on(\fail, func) }

	receive { |msg|
		var address = msg[0], text = address.asString;
		waiting.copy.do { |entry|
			if(address == '/fail' and: { msg[1] == entry[\address] }) { entry[\failed] = true };
			if(address == '/synced' and: { msg[1] == entry[\synced] } and: { entry[\failed] }) {
				entry[\finish].value(nil)
			} {
				var found = entry[\answer].value(msg);
				if(found.notNil) { entry[\finish].value(found) }
			}
		};
		if(text.beginsWith("/node/") and: { address != '/node/state' } and: { msg.size > 1 }) {
			^this.prValue(text.split($/), msg[1])
		};
		switch(address,
			'/fail', {
				failures = failures + 1;
				this.tell(msg[1], "% failed: %".format(msg[1], msg[2]));
				this.prTell(\fail, msg[1], msg[2])
			},
			'/late', {
				lates = lates + 1;
				this.tell(\late, "% came % ms after its time: give more latency (now % s)".format(
					msg[1], (msg[2] * 1000).round(0.1), latency));
				this.prTell(\late, msg[1], msg[2])
			},
			'/tempo', { tempo = msg[1]; this.prTell(\tempo, tempo) },
			'/beat', { if(msg[1].isInteger) { beat = msg[1]; this.prTell(\beat, beat) } },
			'/meter', { this.prTell(\meter, *msg[1..]) },
			'/clip', { this.prTell(\clip, msg[1]) },
			'/node/state', { this.prTell(\state, *msg[1..]) },
			'/patch/loaded', { this.prTell(\patch, msg[1]) },
			'/patch/failed', { this.tell(\fail, "the patch is not played: %".format(msg[1])); this.prTell(\patchFailed, msg[1]) },
			'/patch/warning', { this.prTell(\warning, msg[1]) },
			'/engine/state', { this.prTell(\engine, *msg[1..]) },
			'/learned', { this.prTell(\learned, *msg[1..]) },
			'/set/at', { this.prTell(\set, *msg[1..]) }
		)
	}

	prValue { |parts, value|
		var node, param;
		if(parts.size == 4) { // ["", "node", NAME, PARAM]; /norm is an answer to who asked
			node = parts[2].asSymbol;
			param = parts[3].asSymbol;
			if(values[node].isNil) { values[node] = IdentityDictionary.new };
			values[node][param] = value;
			this.prTell(\value, node, param, value)
		}
	}

	prTell { |what ... args|
		actions[what].value(*args);
		this.changed(what, *args)
	}

	// a line of each kind at most once a second, with how many there were between
	tell { |kind, line|
		var now = Main.elapsedTime, last;
		if(told.size > 100) { told.clear };
		last = told[kind] ?? { (at: -10, more: 0) };
		if(now - last[\at] < 1) { last[\more] = last[\more] + 1 } {
			"Antiphon: %%".format(line, if(last[\more] > 0) { " (and % more before)".format(last[\more]) } { "" }).postln;
			posted = posted + 1;
			last = (at: now, more: 0);
		};
		told[kind] = last
	}

	place { ^"%:%".format(addr.hostname ? addr.ip, addr.port) }
	printOn { |stream| stream << "Antiphon(" << this.place << ")" }
	storeOn { |stream| stream << "Antiphon.at(" <<< (addr.hostname ? addr.ip) << ", " << addr.port << ")" }
}
