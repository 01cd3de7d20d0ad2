"""MQTT: lets a broker's clients set parameters, and publishes their values.

Imports only `antiphon.api`, and the client library only if MQTT is requested.
"""

from antiphon.api import Register, hookimpl


@hookimpl
def antiphon_transports(register: Register) -> None:
    """Registers `mqtt`."""
    register("mqtt", "antiphon_mqtt.transport:MqttTransport", "Parameters as topics of an MQTT broker, both ways.")
