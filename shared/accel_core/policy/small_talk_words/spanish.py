"""What `small_talk` knows in Spanish."""

from __future__ import annotations

from typing import Final

from accel_core.policy.small_talk_words.phrases import Phrases

SPANISH: Final = Phrases(
    greeting="""
        (hola|holaa|ola|hey|buenas|que tal|saludos|alo|hola hola|un saludo) (a todos|buenas|
            de nuevo|otra vez|amigo|amiga|que tal|a todas|equipo)?;
        (muy)? (buenos|buenas|buen) (dias|tardes|noches|dia) (a todos|para ti tambien)?;
        (mucho gusto|encantado|encantada|un placer|es un placer|gusto en conocerte|
            encantado de conocerte|encantada de conocerte|mucho gusto en conocerte|
            un placer conocerte|bienvenido|bienvenida|cuanto tiempo|cuanto tiempo sin verte);
        (hay|estas|esta|sigues) (alguien|ahi|usted) (ahi|por ahi)?;
    """,
    farewell="""
        (adios|chao|chau|hasta luego|hasta pronto|hasta manana|hasta la vista|hasta la proxima|
            hasta entonces|hasta el lunes|nos vemos|nos vemos luego|nos vemos pronto|
            nos vemos manana|me voy|me tengo que ir|tengo que irme|me despido|cuidate|cuidese|
            buenas noches|dulces suenos|que descanses|duerme bien|bye|hablamos luego|
            hablamos pronto|hablamos manana) (amigo|amiga|gracias|y gracias)?;
        (que)? (tengas|tenga|pases|ten|feliz) (un|una|buen|buena|muy buen)? (buen|buena|lindo|
            excelente|feliz|muy buen)? (dia|tarde|noche|fin de semana|semana);
        (eso|esto) (es|era|seria) (todo|todo por hoy|todo por ahora) (gracias|por ahora|
            por hoy)?;
        (eso es todo|no tengo mas preguntas|ninguna otra pregunta|nada mas|nada mas gracias);
    """,
    thanks="""
        (ok|vale|perfecto|genial|muy bien|bien|bueno|excelente|no|si|ah|oh|estupendo)? (gracias|
            muchas gracias|muchisimas gracias|mil gracias|gracias a ti|gracias a usted|
            te lo agradezco|se lo agradezco|te agradezco|lo agradezco|agradecido|agradecida|
            muy agradecido|muy agradecida|un millon de gracias|thanks) (mucho|de nuevo|otra vez|
            igualmente|amigo|amiga|por todo|por tu ayuda|por su ayuda|por la ayuda|por ayudarme|
            por la informacion|por la respuesta|por tu respuesta|por su respuesta|por tu tiempo|
            por su tiempo|por responder|por la aclaracion|por la explicacion|de antemano|
            de todas formas|de todos modos|de todas maneras|a ti|a usted|a todos)?;
        (eres|es|fue|has sido|ha sido|muy|que) (muy|de mucha|de gran|tan)? (amable|util|ayuda|
            amable de tu parte|gentil);
        (eso|esto|me) (me)? (ayuda|ayudo|sirve|sirvio|ayuda mucho|ayudo mucho|funciona|funciono|
            ha ayudado|ha servido|has ayudado) (mucho)?;
        (de nada|no hay de que|por nada|con gusto|con mucho gusto|un placer|a la orden|
            no es nada|cuando quieras|no hay problema|sin problema|ningun problema);
    """,
    acknowledgement="""
        (si|sip|claro|claro que si|por supuesto|desde luego|exacto|exactamente|correcto|cierto|
            es cierto|asi es|eso es|efectivamente|ok|okay|okey|vale|de acuerdo|esta bien|
            estoy de acuerdo|bien|muy bien|bueno|listo|hecho|dale|venga|va|no|nop|para nada|
            claro que no|tal vez|quizas|quiza|puede ser|a lo mejor|no se|no lo se|no estoy seguro|
            no estoy segura|ni idea|no tengo idea|ya veo|entiendo|lo entiendo|ya entiendo|
            ahora entiendo|entendido|comprendo|comprendido|te entiendo|tiene sentido|
            eso tiene sentido|me parece bien|me parece perfecto|suena bien|buena idea|
            buena pregunta|buen punto|bueno saberlo|que bueno saberlo|me alegro|me alegra|
            me alegra oirlo|tienes razon|tiene razon|lo se|ya lo se|creo que si|creo que no|supongo|
            supongo que si|espero que si|sin duda|seguro|por favor|perdon|perdona|disculpa|disculpe|
            lo siento|lo siento mucho|un momento|un momento por favor|espera|espera un momento|
            un segundo|dejame pensar|dejame ver|a ver|vamos|vamos a ello|empecemos|voy a probar|
            lo intentare|lo probare|da igual|no importa|olvidalo|nada|nadie|prueba|
            esto es una prueba|es broma|jaja|jajaja|jajajaja|jeje|jejeje|ja|ja ja|lol|ay|uy|ups|
            vaya|anda|caramba|dios mio|guau|wow|oh|ah|aja|aha|eh|mmm|hmm|hm|uf|ole|viva|bravo|
            felicidades|enhorabuena|salud|por fin|menos mal|gracias a dios|yo tambien|yo tampoco|
            igualmente|lo mismo digo|de verdad|en serio|seguro|estas seguro|estas segura|
            hablas en serio|que pena|que lastima|que mal|mierda|joder) (gracias|por favor|si|no|
            claro|bien|muy bien|vale|ok|perfecto|entiendo|esta bien|entonces)?;
        (que|muy|es|esta|eso es|esto es|esta muy|es muy|eso es muy|suena|todo|fue|estuvo|
            eres)? (tan|muy|todo|super)? (bien|bueno|buena|genial|perfecto|excelente|estupendo|
            fantastico|increible|maravilloso|interesante|divertido|gracioso|chistoso|bonito|lindo|
            guay|chido|chevere|bacan|brutal|fenomenal|buenisimo|magnifico|correcto|triste|malo|raro|
            aburrido|claro|facil|buena respuesta|buen trabajo|gran trabajo|bien hecho|buena esa|
            buen chiste) (gracias|entonces|trabajo|respuesta|idea|hecho)?;
    """,
    small_talk="""
        (y|hola|hey|bueno)? (como|que tal|que) (estas|esta|estan|te va|le va|va|va todo|
            va tu dia|andas|te encuentras|se encuentra|te sientes|has estado|estuvo tu dia|estas tu|
            esta usted|fue tu dia|tu dia|todo|estas hoy|esta hoy|te va hoy|va eso|va la vida|
            dormiste) (hoy|tu|usted|amigo|todo)?;
        (y)? (tu|usted|y tu|y usted|que tal tu|como estas tu);
        (yo)? (estoy|me siento|me encuentro|todo|ando|voy) (muy|un poco|bastante|tan|
            super)? (bien|mal|cansado|cansada|feliz|triste|aburrido|aburrida|contento|contenta|
            enfermo|enferma|mejor|enojado|enojada|solo|sola|asi asi|ocupado|ocupada|emocionado|
            emocionada|listo|lista) (gracias|hoy|y tu|y usted|gracias y tu|gracias y usted)?;
        (que) (haces|estas haciendo|hace|pasa|paso|onda|hay|hay de nuevo contigo|me cuentas|
            cuentas|te gusta hacer|haces hoy|piensas|te pasa|te gusta) (hoy|ahora|contigo|tu)?;
        (quien|que) (eres|es usted|eres tu|eres exactamente);
        (como|cual) (te llamas|se llama|es tu nombre|es su nombre|te puedo llamar|debo llamarte|
            es tu color favorito|es tu comida favorita|es tu pelicula favorita|es tu libro favorito|
            es tu proposito|es tu funcion|es tu edad|funcionas);
        (me)? (puedes|podrias|puede|podria) (decirme tu nombre|ayudarme|ayudar|
            ayudarme por favor|ayudarme con algo|ayudarme con una pregunta|oirme|pensar|sentir|
            sonar|cantar|bailar|reir|hablar conmigo|dormir);
        (cuantos anos tienes|que edad tienes|cuando naciste|cuando es tu cumpleanos|
            de donde eres|de donde vienes|donde vives|donde estas|donde naciste|quien te creo|
            quien te hizo|quien te programo|quien te desarrollo|quien es tu creador|
            quien es tu jefe|quien es tu dueno|eres real|eres feliz|estas vivo|estas viva|estas ahi|
            eres inteligente|tienes hambre|tienes sueno|tienes frio|que puedes hacer|
            que puedes hacer por mi|que sabes hacer|en que puedes ayudarme|en que me puedes ayudar|
            como puedes ayudarme|como me puedes ayudar|necesito ayuda|necesito tu ayuda|
            necesito su ayuda|tengo una pregunta|tengo una duda|tengo otra pregunta|
            puedo preguntarte algo|puedo hacerte una pregunta|puedo preguntar algo|
            te puedo preguntar algo|una pregunta|quiero hablar contigo|quiero charlar|hablemos|
            podemos hablar|habla conmigo|hablame de ti|cuentame de ti|cuentame algo|
            cuentame algo de ti|cuentame sobre ti|dime algo|dime algo sobre ti|presentate|
            estoy aburrido|estoy aburrida|me aburro|hazme reir|sorprendeme|adivina que|
            feliz navidad|feliz ano nuevo|feliz ano|felices fiestas|feliz cumpleanos|buen provecho|
            buena suerte|suerte|que te mejores|es mi cumpleanos|hoy es mi cumpleanos|que dia|
            que calor hace|que frio hace|callate|dejame en paz|vete|te odio|eres tonto|eres tonta|
            te amo|te quiero|te quiero mucho|te extrano|te echo de menos|me gustas|me caes bien|
            quieres casarte conmigo|te casarias conmigo|quieres ser mi amigo|somos amigos|
            te gusta la musica|te gusta el futbol|te gusta la pizza|me amas|me quieres|me entiendes|
            me oyes|me recuerdas|sabes quien soy|sabes mi nombre) (por favor|gracias|tu|a ti)?;
        (eres) (un|una|muy|tan|mi|el|la)? (robot|bot|humano|humana|persona|maquina|persona real|
            ia|inteligencia artificial|hombre|mujer|chico|chica|chatbot|programa|humano o un robot|
            humano o robot|robot o humano|amable|inteligente|gracioso|graciosa|simpatico|simpatica|
            lindo|linda|genial|el mejor|la mejor|mejor|increible|util|inutil|aburrido|aburrida|feo|
            fea|listo|lista|bueno|buena|malo|mala|amigo|amiga|idiota|crack);
        (estoy|hablo) (hablando|chateando)? (con) (un|una)? (robot|bot|humano|persona|maquina|
            persona real|ia);
        (cuentame|dime|conoces|sabes|cuenta) (un|otro|algun|una|algo)? (chiste|buen chiste|
            chistes|historia|gracioso|divertido|adivinanza);
    """,
    conversation="""
        (que|cual) (te|me|fue|era|es)? (pregunte|dije|dijiste|he preguntado|he dicho|has dicho|
            acabo de decir|acabo de preguntar|acabas de decir|pregunte antes|pregunte primero|
            dije antes|mi primera pregunta|mi ultima pregunta|mi pregunta anterior|mi pregunta|
            tu ultima respuesta|la ultima pregunta|la primera pregunta|
            tu respuesta anterior) (antes|primero|hace un momento|al principio|ahora)?;
        (de que) (hablamos|estabamos hablando|hemos hablado|hablabamos) (antes|hasta ahora)?;
        (me)? (puedes|podrias|puede|podria) (repetir|repetirlo|repetirmelo|repetir eso|
            repetir la respuesta|repetir tu respuesta|resumir|resumirlo|resumir eso|resumir esto|
            resumir la conversacion|resumir nuestra conversacion|resumir tu respuesta|traducirlo|
            traducir eso|reformularlo|reformular eso|decirlo de otra forma|decirlo de otra manera|
            decirlo otra vez|decirlo en otras palabras|explicarlo de otra forma|explicarlo mejor|
            simplificarlo|acortarlo) (por favor|otra vez|de nuevo|al ingles|al espanol|en ingles|
            en una frase|en pocas palabras)?;
        (por favor)? (repite|repitelo|repite eso|repite tu respuesta|resume|resumelo|resume eso|
            resume la conversacion|resume nuestra conversacion|resume tu respuesta|traducelo|
            traduce eso|traduce tu respuesta|reformula eso|reformulalo|dilo otra vez|
            dilo de otra forma|dilo en otras palabras|hazlo mas corto|hazlo mas breve|
            hazlo mas formal|mas corto|mas breve|mas simple|en otras palabras|otra vez|de nuevo|
            una vez mas) (por favor|otra vez|de nuevo|al ingles|al espanol|en ingles|en espanol|
            en una frase|en pocas palabras)?;
        (que quieres decir|a que te refieres|que quieres decir con eso|no es lo que pregunte|
            eso no es lo que pregunte|ya te lo dije|ya lo dije|ya te lo pregunte|
            recuerdas lo que te dije|recuerdas lo que dije|recuerdas mi pregunta|te acuerdas|
            te acuerdas de lo que dije|te acuerdas de mi|como dices|como dijiste|empecemos de nuevo|
            cambiemos de tema|hablemos de otra cosa|en espanol|en ingles|responde en espanol|
            responde en ingles) (por favor)?;
    """,
    filler="""
        (por favor|pues|bueno|entonces|y|pero|tambien|ahora|hoy|ya|si|no|ok|vale|oh|ah|ay|amigo|
            amiga|senor|senora|bot|robot|asistente|alexa|siri|chatgpt|jaja|jajaja|lol|muy|tu|usted|
            de verdad|gracias);
    """,
)
