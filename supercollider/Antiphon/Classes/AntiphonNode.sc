// A node of the patch by its name. It holds nothing itself: make as many as you like.
AntiphonNode {
	var <antiphon, <name;

	*new { |antiphon, name| ^super.newCopyArgs(antiphon, name.asSymbol) }

	path { |param| ^"/node/%/%".format(name, param).asSymbol }

	// set(\cutoff, 800, \q, 2), in the parameters' units; several go together in one bundle
	set { |... pairs|
		var msgs = pairs.clump(2).collect { |pair|
			if(pair.size < 2) { Error("Antiphon: set takes names and values in turn, % has no value".format(pair[0])).throw };
			[this.path(pair[0]), pair[1]]
		};
		if(msgs.size == 1) { antiphon.sendMsg(*msgs[0]) } {
			antiphon.sendBundle(if(antiphon.timed) { antiphon.latency }, *msgs)
		}
	}
	ramp { |param, value, seconds = 1| antiphon.sendMsg(this.path(param), value, seconds) }
	// its place in its range, 0 to 1
	norm { |param, value, seconds| antiphon.sendMsg("/node/%/%/norm".format(name, param).asSymbol, value, seconds) }
	fire { |param| antiphon.sendMsg(this.path(param), 1) }
	reset { antiphon.sendMsg(this.path(\reset)) }
	bypass { |on = true| this.set(\bypass, on) }
	mute { |on = true| this.set(\mute, on) }
	wet { |amount = 1, seconds| antiphon.sendMsg(this.path(\wet), amount, seconds) }

	// asks. A trigger fires when it is asked: use fire
	get { |param, action|
		var path = this.path(param);
		^antiphon.ask([path], { |said| if(said[0] == path) { said[1] } }, action)
	}
	// what was last told of it, nil if nothing was: see subscribe
	told { |param| ^antiphon.values[name] !? { |of| of[param] } }

	on { |param, func|
		antiphon.on(\value, { |node, which, value| if(node == name and: { which == param }) { func.value(value) } })
	}
	onMeter { |func| antiphon.on(\meter, { |node, peak, rms| if(node == name) { func.value(peak, rms) } }) }

	noteOn { |note = 60, velocity = 100, channel = 1| antiphon.noteOn(note, velocity, channel, name) }
	noteOff { |note = 60, velocity = 0, channel = 1| antiphon.noteOff(note, velocity, channel, name) }
	cc { |number, value, channel = 1| antiphon.cc(number, value, channel, name) }
	bend { |value, channel = 1| antiphon.bend(value, channel, name) }
	// a note of so many beats of the present clock, its end sent when it is due
	play { |note = 60, velocity = 100, beats = 1, channel = 1|
		antiphon.keys.play([[name, note, velocity, channel, 0, beats]], antiphon.latency)
	}

	// other: a node or a name, name.port for a port that is not the first
	connect { |other| antiphon.connect(name, this.class.nameOf(other)) }
	disconnect { |other| antiphon.disconnect(name, this.class.nameOf(other)) }
	add { |type, newName| ^antiphon.add(type, newName, name) }
	moveAfter { |other| antiphon.move(name, other !? { this.class.nameOf(other) }) }
	remove { antiphon.remove(name) }

	*nameOf { |other| ^if(other.isKindOf(AntiphonNode)) { other.name } { other } }

	== { |other| ^this.compareObject(other, #[\antiphon, \name]) }
	hash { ^this.instVarHash(#[\antiphon, \name]) }
	printOn { |stream| stream << antiphon << "[" <<< name << "]" }
}
