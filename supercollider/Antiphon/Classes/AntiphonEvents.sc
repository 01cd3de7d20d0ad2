// The event types \antiphon (notes), \antiphonSet (parameters), \antiphonCC and \antiphonBend.
AntiphonEvents {
	classvar reserved;

	*initClass {
		Class.initClassTree(Event);
		Event.addEventType(\antiphon, { AntiphonEvents.playNotes }, (
			amp: #{ ~db.value.dbamp },
			db: -3.0,
			velocity: #{ (~amp.value * 127).round },
			channel: 1
		));
		// args: which keys are parameters; empty, those that mean nothing to other events
		Event.addEventType(\antiphonSet, { AntiphonEvents.playSet }, (args: #[]));
		Event.addEventType(\antiphonCC, { AntiphonEvents.playCC }, (ctlNum: 1, control: 0, channel: 1));
		Event.addEventType(\antiphonBend, { AntiphonEvents.playBend }, (bend: 0, channel: 1));
	}

	*antiphon { ^~antiphon ?? { Antiphon.default } }
	*latency { |antiphon| ^if(~latency.notNil) { ~latency } { antiphon.latency } }
	*channels { ^~channel.value.asArray }
	*names { ^~node.value.asArray.collect { |each| AntiphonNode.nameOf(each) } }

	// beats of the clock that plays, in seconds
	*seconds { |beats|
		var clock = thisThread.clock, now = clock.beats;
		^clock.beats2secs(now + beats) - clock.beats2secs(now)
	}

	*playNotes {
		var antiphon = this.antiphon, sustain = ~sustain.value, strum = ~strum.value, rows, total;
		if(~sendGate == false) { sustain = inf };
		rows = [
			this.names.unbubble, ~detunedFreq.value.cpsmidi.round.asInteger, ~velocity.value.round.asInteger, this.channels.unbubble,
			~lag.value + this.seconds(~timingOffset.value), sustain
		].flop;
		total = rows.size - 1;
		rows.do { |row, i|
			var late = if(strum < 0) { total - i } { i } * strum.abs;
			row[4] = row[4] + this.seconds(late);
			if(~strumEndsTogether == true) { row[5] = (row[5] - late).max(0) };
		};
		rows = rows.reject { |row| row[2] < 1 or: { row[1] < 0 } or: { row[1] > 127 } };
		rows.do { |row| row[2] = row[2].min(127) };
		~isPlaying = true;
		antiphon.keys.play(rows, this.latency(antiphon))
	}

	*playSet {
		var antiphon = this.antiphon, args = ~args, ramp = ~ramp, pairs;
		if(~node.isNil) { Error("Antiphon: an event that sets parameters needs a \\node").throw };
		if(args.isEmpty) { args = currentEnvironment.keys.asArray.sort.reject { |key| this.reserved.includes(key) } };
		pairs = args.collect { |key| [key, currentEnvironment[key].value] };
		this.prSend(antiphon, this.names.collect { |name|
			pairs.collect { |pair|
				[pair[1], ramp].flop.collect { |row| ["/node/%/%".format(name, pair[0]).asSymbol] ++ row }
			}.flatten(1)
		}.flatten(1))
	}

	*playCC {
		this.prSend(this.antiphon, [this.names, ~ctlNum.value, ~control.value, this.channels].flop.collect { |row|
			['/cc', row[1], row[2], row[3], row[0]]
		})
	}

	*playBend {
		this.prSend(this.antiphon, [this.names, ~bend.value, this.channels].flop.collect { |row| ['/bend', row[1], row[2], row[0]] })
	}

	*prSend { |antiphon, msgs|
		var latency = this.latency(antiphon);
		var late = ~lag.value + this.seconds(~timingOffset.value);
		antiphon.sendBundle(latency !? { latency + late }, *msgs)
	}

	*reserved {
		^reserved ?? {
			reserved = IdentitySet[\type, \node, \antiphon, \ramp, \args, \dur, \delta, \latency, \channel, \parent, \proto, \id, \isPlaying,
				\cleanup, \finish, \callback, \msgFunc, \midinote, \ctlNum, \control, \quant, \group, \server, \synthLib,
				\tempo, \variant, \sendGate];
			Event.partialEvents.do { |part| reserved.addAll(part.keys) };
			reserved
		}
	}
}
