"""Transport `mqtt`: the setting that requests it, and its start."""

from collections.abc import Iterable

from antiphon.api.backends.runtime import ServeOption
from antiphon.api.backends.transports import ServeSettings, Transport, TransportServer
from antiphon_mqtt.broker import mqtt_broker

MQTT_URL = ServeOption(
    "mqtt-url",
    "An MQTT broker: mqtt://user:password@host:port, or mqtts:// for TLS.",
    "",
    envvar="ANTIPHON_MQTT_URL",
    secret=True,
)


class MqttTransport(Transport):
    """`antiphon serve --mqtt-url`."""

    options = (MQTT_URL,)

    def check(self, settings: ServeSettings) -> None:
        mqtt_broker(settings.value(MQTT_URL))

    def secrets(self, settings: ServeSettings) -> Iterable[tuple[str, str]]:
        return [(url := settings.value(MQTT_URL), mqtt_broker(url).written)]

    def start(self, server: TransportServer) -> None:
        from antiphon_mqtt.bridge import MqttBridge

        MqttBridge(server, mqtt_broker(server.settings.value(MQTT_URL))).install()
