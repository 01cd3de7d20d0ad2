// Which keys sound, so that each note that was begun here is ended, also after cmd-period.
AntiphonKeys {
	// seconds by which an end is sent after its turn: a key struck again at that very moment goes first, and ends it itself
	classvar <grace = 0.001;
	var antiphon, sounding, serial = 0;

	*new { |antiphon| ^super.newCopyArgs(antiphon, Dictionary.new) }

	// notes: of [node, note, velocity, channel, seconds from now, beats it lasts (inf: no end)].
	// latency: seconds, nil for at once. A chord goes in one bundle.
	play { |notes, latency, clock|
		clock = clock ?? { thisThread.clock };
		this.class.prGroup(notes, 4).do { |group| this.prStrike(group, group[0][4], latency, clock) }
	}

	// rows alike in a column together, in the order in which they come
	*prGroup { |rows, column|
		var groups = [];
		rows.do { |row|
			var group = groups.detectIndex { |group| group[0][column] == row[column] };
			if(group.isNil) { groups = groups.add([row]) } { groups[group] = groups[group].add(row) }
		};
		^groups
	}

	prStrike { |notes, offset, latency, clock|
		var begin = latency !? { latency + offset }, at = thisThread.seconds + (begin ? 0), ends = [], msgs = [];
		notes.do { |each|
			var node, note, velocity, channel, key;
			#node, note, velocity, channel = each;
			key = [node, channel, note];
			if(sounding[key].notNil) { msgs = msgs.add(this.prOff(key)) };
			msgs = msgs.add(['/note/on', note, velocity, channel, node]);
			serial = serial + 1;
			sounding[key] = (serial: serial, at: at, clock: if(each[5] != inf) { clock });
			ends = ends.add([key, serial, each[5]])
		};
		antiphon.sendBundle(begin, *msgs);
		if(clock.isKindOf(TempoClock)) { clock.addDependant(this) };
		this.class.prGroup(ends, 2).do { |group|
			if(group[0][2] != inf) { this.prSchedEnd(group, offset, group[0][2], latency, clock) }
		}
	}

	// by the clock that plays, so that a note lasts its beats when the tempo changes meanwhile
	prSchedEnd { |ends, offset, beats, latency, clock|
		var held = if(latency.notNil and: { latency > grace }) { grace } { 0 };
		var from = clock.beats, delay;
		delay = clock.secs2beats(clock.beats2secs(from + beats) + offset + held) - from;
		clock.sched(delay, {
			var due = ends.select { |end| sounding[end[0]] !? { |key| key[\serial] == end[1] } ? false };
			if(due.notEmpty) {
				due.do { |end| sounding.removeAt(end[0]) };
				antiphon.sendBundle(latency !? { latency - held }, *due.collect { |end| this.prOff(end[0]) })
			};
			nil
		})
	}

	prOff { |key| ^['/note/off', key[2], 0, key[1], key[0]] }

	size { ^sounding.size }
	forget { sounding.clear }

	// a clock that is stopped will not send the ends it was to
	update { |clock, what|
		if(what == \stop) {
			this.prEnd(sounding.keys.select { |key| sounding[key][\clock] === clock });
			clock.removeDependant(this)
		}
	}

	endAll { this.prEnd(sounding.keys) }

	// not before they have begun: what is on its way there would never end
	prEnd { |which|
		var keys = which.asArray, last;
		if(keys.isEmpty) { ^this };
		last = keys.collect { |key| sounding[key][\at] }.maxItem;
		antiphon.sendBundle((last - thisThread.seconds).max(0) + grace, *keys.collect { |key| this.prOff(key) });
		keys.do { |key| sounding.removeAt(key) }
	}
}
