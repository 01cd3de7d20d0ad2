"""What the server knows of MQTT: the setting that asks for it, and how it begins."""

from __future__ import annotations

from collections.abc import Iterable

from antiphon.api.transports import ServeSettings, Transport, TransportServer
from antiphon_mqtt.broker import mqtt_broker


class MqttTransport(Transport):
    """`antiphon serve --mqtt-url`."""

    options = ("mqtt_url",)

    def check(self, settings: ServeSettings) -> None:
        mqtt_broker(settings.mqtt_url)

    def secrets(self, settings: ServeSettings) -> Iterable[tuple[str, str]]:
        return [(settings.mqtt_url, mqtt_broker(settings.mqtt_url).written)]

    def start(self, server: TransportServer) -> None:
        from antiphon_mqtt.bridge import MqttBridge

        MqttBridge(server, mqtt_broker(server.settings.mqtt_url)).install()
