// Wires between a scsynth and Antiphon where both are on JACK. A bus of scsynth is a JACK port when it is one of the server's
// outputs: the first numOutputBusChannels of them.
AntiphonJack {
	classvar <>client = "antiphon", <>synth = "SuperCollider";

	// from -> to, one for each channel: that bus and its neighbours into Antiphon
	*into { |bus = 2, channels = 2|
		^Array.fill(channels, { |n| "%:out_%".format(synth, bus + n + 1) -> "%:in_%".format(client, n + 1) })
	}

	// Antiphon's output into scsynth: SoundIn.ar(in) and its neighbours
	*back { |in = 0, channels = 2|
		^Array.fill(channels, { |n| "%:out_%".format(client, n + 1) -> "%:in_%".format(synth, in + n + 1) })
	}

	*commands { |pairs, program = "jack_connect"|
		^pairs.collect { |pair| "% % %".format(program, pair.key.shellQuote, pair.value.shellQuote) }
	}

	// by JACK's own programs; what they refuse, they post
	*connect { |pairs| this.commands(pairs).do { |command| command.unixCmd(nil, true) } }
	*disconnect { |pairs| this.commands(pairs, "jack_disconnect").do { |command| command.unixCmd(nil, true) } }

	// all that is played to that bus goes through Antiphon, which plays it to the sound card itself
	*insert { |server, bus = 2, channels = 2|
		server = server ? Server.default;
		if(bus + channels > server.options.numOutputBusChannels) {
			Error("AntiphonJack: bus % is no JACK port of %, which has % outputs; set options.numOutputBusChannels before it boots, to % or more"
				.format(bus, server, server.options.numOutputBusChannels, bus + channels)).throw
		};
		this.connect(this.into(bus, channels))
	}
}
