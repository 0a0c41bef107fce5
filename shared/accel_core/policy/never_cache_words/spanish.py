"""What `never_cache` listens for in Spanish."""

from __future__ import annotations

from typing import Final

from accel_core.policy.never_cache_words.rule import Language, Rule, any_of

_IMPERATIVES = """cancela cancele cancelame transfiere transfiera envia envie enviame enviale
manda mande mandame mandale paga pague reserva reserve reservame compra compre comprame pide pida
pideme borra borre elimina elimine bloquea bloquee desbloquea desbloquee recuerdame recuerdeme
despiertame llama llame pon ponme ponga enciende encienda apaga apague activa active desactiva
desactive cambia cambie programa programe anade agrega agregue renueva renueve confirma confirme
devuelve devuelva reembolsa vende cierra cierre aplaza"""
_INFINITIVES = """cancelar transferir enviar mandar pagar reservar comprar pedir borrar eliminar
bloquear desbloquear activar desactivar cambiar programar anadir agregar renovar confirmar
devolver llamar encender apagar poner vender cerrar aplazar reembolsar recordar despertar"""

_TERMS = {
    "my": any_of("mi mis nuestr[oa]s?"),
    "record": any_of(
        r"""saldo cuentas? pedidos? paquetes? envios? facturas? citas? reservas? vuelos? tarjetas?
        transferencias? reembolsos? pagos? nomina suscripcion mensajes? correos? calendario agenda
        puntos ubicacion direccion billetes? entradas? solicitud prestamo hipoteca reuniones
        reunion alarmas? recordatorios? tareas? contrato contrasena dinero nombre receta"""
    ),
    "own": "<my> <word>{0,2}?<record>",
    "now": any_of(_IMPERATIVES),
    "todo": any_of(_INFINITIVES),
    "object": any_of(
        "mi mis el la los las lo este esta estos estas eso esto un una <number> todos? al a me"
    ),
    "hello": any_of("por_favor hola oye ok vale si no y entonces ahora pues gracias alexa"),
    "begin": "(?:<start>(?:<hello> )*|por favor )",
    "ask": any_of(
        """puedes podrias puede podria quiero quisiera necesito me_gustaria tengo_que quiero_que"""
    ),
    "general": r"""como (?:puedo|puede|podria|se|hago|hacer|debo|funciona|\w+r(?:me|lo|la)?)
        (?:que|donde|cuando) (?:significa|es una?|quiere decir|pasa si|debo|puedo|deberia)
        (?:<start>(?:deberia|debo|puedo)|se puede)
        es (?:posible|legal|seguro|mejor)
        (?:diferencia entre|significado|definicion|ejemplos?|consejos?)""",
    "moment": any_of("hoy manana ahora ahora_mismo esta_noche actualmente"),
}

SPANISH: Final = Language(
    _TERMS,
    r"""<start>(?:por favor )?(?:escrib|redact|traduc|explic|describ|resum|gener|corrig|reescrib)\w+
    <code>
    (?:poema|cuento|letra de|cancion|frase|parrafo|ensayo|siguiente texto|funcion|codigo)""",
    (
        Rule(
            "acting",
            f"""{_IMPERATIVES} {_INFINITIVES} cancelalo cancelala borralo borrala eliminalo
            eliminala bloqueala confirmalo confirmala cancelarlo cancelarla borrarlo eliminarlo
            bloquearla
            reservarme enviarme""",
            r"""<begin><now> <object> <a>
            <begin>(?:recuerda|recuerde|despierta)me
            <begin>(?:pon musica|(?:pon|anade|agrega) <word>{1,4}?(?:a|en) (?:la|el|mi))
            <begin>(?:cancela|borra|elimina|bloquea|confirma)l[oa]
            <ask> <word>{0,2}?<todo>(?:me|lo|la|los|las|le)? <object> <a>
            <ask> <word>{0,2}?(?:cancelar|borrar|eliminar|bloquear)(?:lo|la|los|las)
            <begin>(?:reserva|compra|pide|envia|manda)me <a>""",
            r"<general>|o .*\?",
        ),
        Rule(
            "personal",
            "mi mis nuestro nuestra nuestros nuestras",
            r"""donde (?:esta|estan|anda|quedo|va) <my>
            (?:cuando|cual|cuales|cuanto|cuanta|cuantos|cuantas|que) <word>{0,4}?<own>
            <start>(?:esta|estan|ha|han|fue|llego|salio) <word>{0,2}?<own>
            (?:muestra(?:me)?|dime|ensename|consulta|revisa|comprueba|busca|lee) <word>{0,4}?<own>
            por que <word>{0,3}?<own>
            <own> (?:no|aun no|todavia no|sigue|ha sido|fue) <a>""",
        ),
        Rule(
            "personal",
            "tengo debo gaste gastado estoy cerca",
            r"""cuant[oa]s? <word>{0,2}?(?:tengo(?! que)|debo(?! \w+r )|gaste|he gastado)
            <start>tengo <word>{0,3}?(?:<record>|algo)
            (?:que|cuando) <word>{0,2}?tengo <word>{0,2}?(?:hoy|manana|esta|cita|reunion|pendiente)
            donde estoy<end>
            cerca de (?:mi|aqui)""",
        ),
        Rule(
            "volatile",
            """tiempo hora dia clima pronostico noticias cambio precio cotizacion gano gana ganando
            llueve llover faltan proximo proxima trafico fecha""",
            r"""que (?:tiempo|clima) (?:hace|hara|hay)
            como esta el (?:tiempo|clima|trafico)
            (?:clima|tiempo|pronostico) <word>{0,3}?(?:hoy|manana|ahora|de <a><end>|en <a><end>)
            que (?:hora|dia|fecha) es(?: en <a>)?(?: <moment>)?<end>
            (?:llueve|va a llover)
            noticias (?:de|sobre|del) <a>
            ultimas noticias
            (?:cual es|a cuanto esta) <word>{0,4}?(?:tipo de cambio|cotizacion|precio)
            precio (?:actual )?del? (?:bitcoin|oro|petroleo|gas|dolar|euro|ethereum)
            quien (?:gano|va ganando|esta ganando|gana)(?: (?:el|la) <a>)?(?: <moment>)?<end>
            cuantos dias faltan
            cuando (?:es|sale|juega|hay) <word>{0,3}?proxim[oa]""",
            r"<general>|\d{4}",
        ),
        Rule(
            "volatile",
            "hoy ahora noche semana mes ano momento actual actualmente ultima anoche manana tarde",
            r"""hoy(?<!hasta hoy)(?<!de hoy)(?! en dia)
            (?:ahora mismo|en este momento|actualmente|anoche)
            ahora<end>(?<!hasta ahora)(?<!por ahora)(?<!de ahora)
            esta (?:noche|semana|manana|tarde|temporada)
            este (?:mes|ano|fin de semana)
            (?:presidente|precio|version|situacion|tasa|temperatura|campeon|estado) actual
            la ultima version""",
            "<general>|por que|yo|he \\w+|fui|estaba|mundo|sociedad",
        ),
    ),
)
