// Help files can be read, name what there is, and their examples compile. Needs no server.
TestAntiphonHelp : UnitTest {
	classes { ^[Antiphon, AntiphonNode, AntiphonEvents, AntiphonKeys, AntiphonJack] }

	source { |class|
		var path = Antiphon.filenameSymbol.asString.dirname.dirname +/+ "HelpSource/Classes" +/+ class.name ++ ".schelp";
		^File.readAllString(path)
	}

	test_they_can_be_read {
		this.classes.do { |class|
			var path = PathName.tmp +/+ "antiphon-help-%.schelp".format(class.name), doc;
			File.use(path, "w") { |file| file.write(this.source(class)) };
			doc = SCDoc.parseFileFull(path);
			File.delete(path);
			this.assert(doc.notNil, "%".format(class));
		}
	}

	test_every_method_is_there {
		this.classes.do { |class|
			var text = this.source(class), said = text.findRegexp("METHOD:: (\\w+)").clump(2).collect { |found| found[1][1].asSymbol };
			var hidden = text.findRegexp("PRIVATE:: ([^\n]*)").drop(1).collect { |found| found[1].split($,) }.flatten.collect { |name|
				name.stripWhiteSpace.asSymbol };
			var there = (class.methods.asArray ++ class.class.methods.asArray).collect { |method| method.name };
			there = there.reject { |name|
				name.isSetter or: { #[\initClass, \default, '==', \hash, \printOn, \storeOn].includes(name) }
			};
			this.assertEquals(there.reject { |name| (said ++ hidden).includes(name) }, [], "% tells of every method".format(class));
			this.assertEquals(said.reject { |name| class.findMethod(name).notNil or: { class.class.findMethod(name).notNil } }, [],
				"% tells of none that is not there".format(class));
		}
	}

	test_examples_compile {
		this.classes.do { |class|
			var text = this.source(class), at = 0, count = 0;
			while { at = text.find("code::\n", offset: at); at.notNil } {
				var end = text.find("\n::", offset: at + 7), example = text[at + 7 .. end];
				count = count + 1;
				this.assert(example.compile.notNil, "% example %: %".format(class, count, example));
				at = end;
			};
			this.assert(count > 0, "% has examples".format(class));
		}
	}
}
